"""Python into a graph: the decorators and everything that is allowed inside the body of a pipeline."""
