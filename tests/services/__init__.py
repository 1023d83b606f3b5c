"""What needs servers and processes of its own, and minutes."""
