"""Live: one Redis reader a process, the seam, the sockets."""
