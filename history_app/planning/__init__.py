"""From a question to buckets and tables. Pure."""
