"""Run work in a process that may die."""
