"""Access tokens: logins, API keys, tickets."""
