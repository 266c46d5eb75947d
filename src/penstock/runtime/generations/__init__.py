"""Runs begun anew: what a generation keeps of the one before, and what it makes again."""
