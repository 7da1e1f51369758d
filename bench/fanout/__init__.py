"""Live fan-out: sockets that count and time what they are given, a publisher, the servers, the report."""
