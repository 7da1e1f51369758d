"""The subscriber of this process."""
