"""Energy per period."""
