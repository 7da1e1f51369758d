"""Browser sessions: where they are stored, how they begin and end, whom they belong to."""
