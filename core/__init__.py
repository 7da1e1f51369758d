"""The foundation of all apps. Imports no app."""
