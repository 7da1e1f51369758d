"""What measures processes and searches for limits."""
