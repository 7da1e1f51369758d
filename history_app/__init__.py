"""History: windows, queries, columnar responses."""
