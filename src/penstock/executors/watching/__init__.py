"""Watching over processes: what they have started, what they take, where they are, how they ended."""
