"""Stored analyses: runs, journal, webhooks and upkeep."""
