"""One chunk's calls, decoded frames and kept answers."""
