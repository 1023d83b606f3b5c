"""What adapts Ray Serve: calls between deployments, request bodies, routing, the embedded server."""
