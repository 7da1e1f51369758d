"""What puts load on the site: devices, dashboards, requests."""
