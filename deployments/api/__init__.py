"""The HTTP dialects that Longtake speaks, one file each."""
