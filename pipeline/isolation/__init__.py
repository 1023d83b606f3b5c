"""Work in a process that may die."""
