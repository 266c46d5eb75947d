"""What writers for systems that run every task by itself, away from the user's files, have in common: a task as a program
that carries along all that it needs."""
