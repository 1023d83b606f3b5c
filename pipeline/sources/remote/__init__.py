"""HTTP and S3, past every guard."""
