"""Live readings: one Redis subscriber per process, the seam from history, websockets and event streams."""
