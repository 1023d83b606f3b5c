"""Read remote videos over HTTP and S3, behind every guard."""
