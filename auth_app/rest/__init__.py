"""The cold JSON routes: base view, authentication, problems, fields."""
