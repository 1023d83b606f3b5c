"""Texts and JSON values with every character, lone surrogates and NUL included; and the errors that may carry them."""

from __future__ import annotations

import inspect

from hypothesis import strategies as st

from pipeline import errors
from pipeline.errors import LongtakeError

ANY_TEXT = st.text(st.characters(exclude_categories=()))
"""hypothesis leaves lone surrogates out by default."""
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=8,
)
ERROR_CLASSES = [found for _, found in inspect.getmembers(errors, inspect.isclass) if issubclass(found, LongtakeError)]
