"""Which buckets and tables answer a question. Pure."""
