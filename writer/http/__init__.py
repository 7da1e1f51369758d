"""The HTTP and websocket routes of the writer."""
