"""What a bare machine lacks: programs, packages, a browser."""
