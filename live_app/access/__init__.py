"""Who may open a socket, and for how long."""
