"""`python -m deployments.serving.local_server`: serves the whole graph to its parent process.

Prints one line of JSON: `{"url": …}` once it serves, or `{"error": …}` if it cannot. Exits when stdin closes, and so
also when the parent dies.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from deployments.serving.embedded_server import SERVE_CONFIG, ServerFailed, embedded_server


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m deployments.serving.local_server", description=__doc__)
    parser.add_argument("--media-root", action="append", default=[], help="a folder of videos that requests may name")
    parser.add_argument("--model", help="a folder or a Hugging Face id")
    given = parser.parse_args(arguments)
    parent = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Ray and vLLM print to stdout; that belongs in the log

    def report(**line: str) -> None:
        print(json.dumps(line), file=parent, flush=True)

    if not SERVE_CONFIG.exists():
        report(error="There is no serve_config.yaml beside the server's packages; run from a checkout of Longtake.")
        return 1
    try:
        with embedded_server(_args(given.media_root, given.model)) as url:
            report(url=url)
            sys.stdin.read()
    except ServerFailed as error:
        report(error=str(error))
        return 1
    return 0


def _args(media_roots: Sequence[str], model: str | None) -> dict[str, Any]:
    return {"sources": {"media_roots": list(media_roots)}} | ({"model": model} if model else {})


if __name__ == "__main__":
    sys.exit(main())
