"""Parts shared by tests and benchmarks: real processes, databases and sockets."""
