"""What a run would do, before it does it: the same driver, rehearsing, and what its state then tells."""
