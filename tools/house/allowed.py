"""What the checks let pass, each entry with its reason, and where the voice is checked."""

from __future__ import annotations

CITATIONS: dict[str, str] = {}
"""Cited names that no code of ours contains."""

WITHOUT_MIRROR: dict[str, str] = {}
"""Modules without a test file of their name, and test files without a module."""

CLEAN_VOICE = ("CONTRIBUTING.md", "tools/house", "tests/house")
"""Files and folders without translated phrases. Add a package when you have rewritten it; never take one away."""
