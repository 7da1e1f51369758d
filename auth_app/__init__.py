"""Users, hashed tokens, tickets, attempt limits: who are you."""
