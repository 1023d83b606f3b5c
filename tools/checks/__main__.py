"""Checks that keep the house in order: `python -m tools.checks`, as part of `make check`."""

from __future__ import annotations

import sys
from pathlib import Path

from tools.checks.allowed import CITATIONS, CLEAN_VOICE, WITHOUT_MIRROR
from tools.checks.citations import Citations
from tools.checks.imports import import_problems
from tools.checks.mirror import mirror_problems
from tools.checks.tree import Tree
from tools.checks.voice import voice_problems


def main() -> int:
    tree = Tree.of_checkout(Path(__file__).parents[2])
    problems = [
        *Citations(tree, CITATIONS).problems(),
        *mirror_problems(tree, WITHOUT_MIRROR),
        *import_problems(tree),
        *voice_problems(tree, CLEAN_VOICE),
    ]
    for problem in problems:
        print(problem)
    print(f"{len(tree.python_files)} Python files, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
