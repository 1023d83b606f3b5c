"""Names that fixtures and tests share."""

S3_BUCKET = "films"
