"""From chunk answers to a checked answer: prompts, merging, citations, coverage."""
