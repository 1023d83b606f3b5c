"""The Ray Serve deployments of Longtake: thin shells around `pipeline`."""
