"""Metrics and traces; logs are in `deployments.logs`, below every room."""
