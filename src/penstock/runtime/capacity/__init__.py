"""What there is for the attempts of a run, what they take of it, and which of them may start."""
