"""What the writers of code have in common: the user's functions as source, expressions and values as Python text."""
