"""Requests, results, events and errors as clients see them."""
