"""History: windows, queries, the columnar answer."""
