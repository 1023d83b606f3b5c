"""The work of a runner: leased analyses and their journals, webhooks, and upkeep."""
