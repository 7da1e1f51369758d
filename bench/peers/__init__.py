"""What wattstream is measured beside: the textbook version, and the same work without any check."""
