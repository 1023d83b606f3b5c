"""Entry point of the command `longtake`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command, or show how to install the packages that it needs beyond the client's."""
    try:
        from longtake.commands.app import app  # noqa: PLC0415
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in ("rich", "typer"):
            raise
        print(f"The command needs {missing}, which is not installed. Run: pip install 'longtake[cli]'", file=sys.stderr)
        sys.exit(2)
    app()


if __name__ == "__main__":
    main()
