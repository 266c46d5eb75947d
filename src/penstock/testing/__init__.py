"""For tests: suites that every adapter of a port passes. They need pytest."""
