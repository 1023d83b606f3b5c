"""Phrases of translated English, refused in the packages that are free of them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from tools.house.tree import Problem, Prose, Tree

_PHRASES = (
    (r"\b(?:for|by) who(?:ever)?\b", "name the person: 'for clients that …'"),
    (r"\bwho (?:asks?|wants?|reads?|waits?|needs?)\b(?=[^?]*[.,;:]|$)", "name the person: 'clients that ask …'"),
    (r"\b(?:is|are|was|were) (?:told|had|brought)\b", "use an active verb: report, return, decode"),
    (r"\bto be had\b", "say 'available'"),
    (r"\bno longer wanted\b|\bnobody wants\b", "say 'cancelled'"),
    (r"\bgiven up\b|\bgives? up\b", "say 'cancelled' or 'timed out'"),
    (r"\bgoes? on (?:with|where)\b", "say 'continues' or 'resumes'"),
    (r"\bstands? in for\b", "say 'replaces' or 'falls back'"),
    (r"\bwhat is no\b", "name it: 'anything else'"),
    (r"\bwhere there (?:is|are)\b", "start with 'If …'"),
    (r"\bof (?:its|their) own accord\b", "say 'unprompted'"),
    (r"\bknows? again\b", "say 'recognises'"),
    (r"^\s*\"\"\"Of\b", "open a docstring with a noun or a verb"),
)
_PATTERNS = tuple((re.compile(pattern, re.IGNORECASE), advice) for pattern, advice in _PHRASES)


def voice_problems(tree: Tree, clean: Collection[str]) -> Iterator[Problem]:
    """`clean` lists the files and folders that hold none of the phrases; only they are checked."""
    for entry in sorted(set(clean) - set(tree.files) - tree.folders):
        yield Problem("tools/house/allowed.py", 1, f"lists {entry} as clean, and there is no such file or folder")
    for prose in tree.prose():
        if _is_within(prose.path, clean):
            yield from _problems_of(prose)


def _is_within(path: str, entries: Collection[str]) -> bool:
    return any(path == entry or path.startswith(f"{entry}/") for entry in entries)


def _problems_of(prose: Prose) -> Iterator[Problem]:
    for pattern, advice in _PATTERNS:
        if found := pattern.search(prose.text):
            yield Problem(prose.path, prose.line, f"says '{found[0].strip()}': {advice}")
