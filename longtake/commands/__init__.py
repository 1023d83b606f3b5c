"""Subcommands of `longtake`, on typer and rich."""
