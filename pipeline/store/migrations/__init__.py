"""From each layout of the tables to the next."""
