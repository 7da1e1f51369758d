"""The Redis subscriber of this process."""
