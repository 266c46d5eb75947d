"""Functions of the user's that are told what happens in a run."""
