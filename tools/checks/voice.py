"""Phrases of translated English, refused in the packages that are free of them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from tools.checks.tree import Problem, Prose, Tree

_PHRASES = (
    # Relative clauses as subjects and objects.
    (r"\b(?:for|by|of|to) who(?:ever)?\b", "name the person: 'for clients that …'"),
    (r"\bwhoever\b", "name the person: 'clients that …'"),
    (r"\bwho (?:asks?|wants?|reads?|waits?|needs?|comes?|disconnects?)\b(?=[^?]*[.,;:]|$)", "name the person"),
    (r"\bwhat is (?:no|not)\b", "name it: 'anything else'"),
    (r"(?<!time )\bby which\b", "say 'so that' or start a new sentence"),
    # Passives of everyday verbs.
    (r"\b(?:is|are|was|were|be) (?:told|had|brought|heard|looked at)\b", "use a verb of the field: report, decode"),
    (r"\bpass(?:ed|es) (?:by|over)\b", "say 'skip' or 'ignore'"),
    (r"\b(?:given|gives?|giving) up\b", "say 'cancelled' or 'timed out'"),
    (r"\bnobody wants\b|\bno longer wanted\b", "say 'cancelled'"),
    (r"\bg(?:o|oes|one|oing) on (?:with|where|from)\b", "say 'continues' or 'resumes'"),
    (r"\bst(?:and|ands|ood|anding) in for\b", "say 'replaces' or 'falls back'"),
    (r"\bkn(?:ow|ows|own|ew) again\b", "say 'recognises'"),
    # Word order and idioms of another language.
    (r"\bwhere there (?:is|are)\b", "start with 'If …'"),
    (r"\bof before\b", "say 'earlier'"),
    (r"\bfor ever\b", "say 'forever', or what ends it"),
    (r"\bin vain\b", "say what failed"),
    # Fragments as docstrings.
    (r'^\s*"""(?:Of|By|Beside|Whose|Who|With|To be)\b', "open a docstring with a noun or a verb"),
)
_PATTERNS = tuple((re.compile(pattern, re.IGNORECASE), advice) for pattern, advice in _PHRASES)


def voice_problems(tree: Tree, clean: Collection[str]) -> Iterator[Problem]:
    """`clean` lists the files and folders that hold none of the phrases; only they are checked."""
    for entry in sorted(set(clean) - set(tree.files) - tree.folders):
        yield Problem("tools/checks/allowed.py", 1, f"lists {entry} as clean, and there is no such file or folder")
    for prose in tree.prose():
        if _is_within(prose.path, clean):
            yield from _problems_of(prose)


def _is_within(path: str, entries: Collection[str]) -> bool:
    return any(path == entry or path.startswith(f"{entry}/") for entry in entries)


def _problems_of(prose: Prose) -> Iterator[Problem]:
    for pattern, advice in _PATTERNS:
        if found := pattern.search(prose.text):
            yield Problem(prose.path, prose.line, f"says '{found[0].strip()}': {advice}")
