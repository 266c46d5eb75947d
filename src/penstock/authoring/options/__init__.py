"""What is said about a task or a pipeline besides its code: read, checked, and kept."""
