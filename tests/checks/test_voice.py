"""Translated phrases are found where a package is said to be free of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.checkouts import checkout
from tools.checks.voice import voice_problems


def found(root: Path, comment: str, clean: tuple[str, ...] = ("pipeline",)) -> list[str]:
    tree = checkout(root, pipeline__runs_py=f"# {comment}\nRUNS = 'for who asks'\n")
    return [str(problem) for problem in voice_problems(tree, clean)]


@pytest.mark.parametrize(
    "sentence",
    [
        "decord, for who asks for it.",
        "Who asks with wait=false gets an id.",
        "How frames are had.",
        "The client is told.",
        "The frames are brought by PyAV.",
        "A stream goes on where it broke.",
        "PyAV stands in for torchcodec.",
        "What is no video is refused.",
        "Work that nobody wants is given up.",
        "Where there is no plan, torchcodec decodes.",
        "Whoever comes first starts it.",
        "The id by which receivers know it.",
        "Damaged packets are passed over.",
        "Questions of before are kept for ever.",
    ],
)
def test_telltale_phrases_are_found(sentence: str, tmp_path: Path) -> None:
    problems = found(tmp_path, sentence)
    assert problems
    assert all(problem.startswith("pipeline/runs.py:1: says '") for problem in problems)


@pytest.mark.parametrize(
    "sentence",
    [
        "Opt-in decord backend, for clients that ask for it.",
        "A broken stream resumes where it stopped.",
        "If no plan exists, decode with torchcodec.",
        "The user who asks first is served first?",
        "A told story, and a standing order.",
    ],
)
def test_plain_sentences_pass(sentence: str, tmp_path: Path) -> None:
    assert found(tmp_path, sentence) == []


@pytest.mark.parametrize("docstring", ["Of each chunk.", "By key.", "With its times."])
def test_docstrings_are_no_fragments(docstring: str, tmp_path: Path) -> None:
    tree = checkout(tmp_path, pipeline__runs_py=f'RUNS = 1\n"""{docstring}"""\n')
    (problem,) = voice_problems(tree, ["pipeline"])
    assert (problem.line, "open a docstring with a noun or a verb" in problem.message) == (2, True)


def test_packages_that_are_not_on_the_list_are_left_alone(tmp_path: Path) -> None:
    assert found(tmp_path, "How frames are had.", clean=()) == []


def test_the_list_names_what_exists(tmp_path: Path) -> None:
    (problem,) = found(tmp_path, "Fine.", clean=("pipeline/store",))
    assert "lists pipeline/store as clean, and there is no such file or folder" in problem
