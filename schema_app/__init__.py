"""The machine-readable contract: OpenAPI at /api/schema, a page at /api/docs, AsyncAPI by `manage.py asyncapi`."""
