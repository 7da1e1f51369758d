"""The contract in machine form: OpenAPI at /api/schema, pages at /api/docs, AsyncAPI by `manage.py asyncapi`."""
