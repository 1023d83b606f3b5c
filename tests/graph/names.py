"""Names that fixtures and tests share."""

S3_BUCKET = "films"
S3_SECRET = "s3-canary-4b1d"
"""The server's key to it, which no log may hold."""
