"""Which frames to look at, at what size, in which chunks."""
