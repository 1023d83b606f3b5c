"""The command's parts, on typer and rich."""
