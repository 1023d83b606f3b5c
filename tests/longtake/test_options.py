"""Options; `test_contract.py` holds them against the server."""

from __future__ import annotations

from longtake import AnalysisOptions, SubmitOptions, Webhook


def test_only_stored_analyses_have_metadata_and_a_webhook() -> None:
    assert SubmitOptions.__annotations__.keys() - AnalysisOptions.__annotations__.keys() == {"metadata", "webhook"}
    assert SubmitOptions.__required_keys__ == frozenset()
    assert Webhook.__required_keys__ == {"url"}
