"""Request ids, metrics, access log and health."""
