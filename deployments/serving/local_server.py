"""`python -m deployments.serving.local_server`: the whole graph for the process that starts it, until that one ends.

A line of JSON on stdout says `{"url": …}` when it serves, or `{"error": …}` when it cannot. It ends when stdin does, so
also with the process that started it, however that ends.
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
    parser.add_argument("--media-root", action="append", default=[], help="a folder of videos that may be read")
    parser.add_argument("--model", help="a folder or a Hugging Face id")
    given = parser.parse_args(arguments)
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what Ray and vLLM print goes to the log

    def tell(**line: str) -> None:
        print(json.dumps(line), file=told, flush=True)

    if not SERVE_CONFIG.exists():
        tell(error="There is no serve_config.yaml beside the server's packages; it comes with a checkout of Longtake.")
        return 1
    try:
        with embedded_server(_args(given.media_root, given.model)) as url:
            tell(url=url)
            sys.stdin.read()
    except ServerFailed as error:
        tell(error=str(error))
        return 1
    return 0


def _args(media_roots: Sequence[str], model: str | None) -> dict[str, Any]:
    return {"sources": {"media_roots": list(media_roots)}} | ({"model": model} if model else {})


if __name__ == "__main__":
    sys.exit(main())
