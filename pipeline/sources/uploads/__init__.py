"""Files that clients sent, in a folder or in S3."""
