"""Live fan-out: sockets that count and time readings, a publisher, the servers, the report."""
