"""Load generators: devices, dashboards, requests."""
