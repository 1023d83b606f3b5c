"""The command `longtake`."""

from __future__ import annotations

import sys


def main() -> None:
    """What `[project.scripts]` names. Says how to get what the command needs beyond the client, where it is missing."""
    try:
        from longtake.commands.app import app  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name not in ("rich", "typer"):
            raise
        print(f"The command needs {error.name}, which is not installed: pip install 'longtake[cli]'", file=sys.stderr)
        sys.exit(2)
    app()


if __name__ == "__main__":
    main()
