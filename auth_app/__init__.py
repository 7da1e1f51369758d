"""Authentication: users, tokens, sessions, limits on attempts, the audit log."""
