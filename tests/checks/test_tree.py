"""Files of a checkout, and which of their lines are prose."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.checks.checkouts import checkout
from tools.checks.tree import Prose, PythonFile, Tree

ROOT = Path(__file__).parents[2]


def test_a_checkout_is_what_git_would_keep(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True, capture_output=True)

    git("init")
    for name in ("tracked.py", "deleted.py", "new.py", "ignored.py"):
        (tmp_path / name).write_text("")
    (tmp_path / ".gitignore").write_text("ignored.py\n")
    git("add", "tracked.py", "deleted.py")
    (tmp_path / "deleted.py").unlink()
    assert Tree.of_checkout(tmp_path).files == (".gitignore", "new.py", "tracked.py")


def test_folders_are_those_of_the_files() -> None:
    assert Tree(Path(), ("pipeline/store/runs.py", "README.md")).folders == {"pipeline", "pipeline/store"}


def test_code_and_prose_of_a_python_file_are_told_apart() -> None:
    source = '"""Title.\n\nMore."""\nA = "# no comment"  # a comment\nB = 1\n"""Of B."""\nC = """text"""\n'
    file = PythonFile("a.py", source)
    assert file.code_lines == ["", "", "", 'A = "# no comment"  # a comment', "B = 1", "", 'C = """text"""']
    lines = [(prose.line, prose.text) for prose in file.prose()]
    assert [line for line, _ in lines] == [1, 2, 3, 6, 4]
    assert lines[-1][1].endswith("a comment")


def test_markdown_knows_its_code_blocks(tmp_path: Path) -> None:
    tree = checkout(tmp_path, README_md="Text\n```\ncode\n```\nText\n")
    prose = [each for each in tree.prose() if each.path == "README.md"]
    assert prose == [
        Prose("README.md", 1, "Text"),
        Prose("README.md", 3, "code", is_code_block=True),
        Prose("README.md", 5, "Text"),
    ]


def test_docstrings_in_every_block_are_found() -> None:
    source = """
def outer():
    '''1'''
    try:
        class Inner:
            '''2'''
    except ValueError:
        def handler(): '''3'''
    match outer:
        case 1:
            def chosen(): '''4'''
"""
    assert [prose.text.strip()[-4:-3] for prose in PythonFile("a.py", source).prose()] == list("1234")
