"""From expressions to what tasks, conditions and exit handlers are handed."""
