"""Times in texts, as the server gives them."""

from __future__ import annotations

import pytest

from longtake import Citation, FoundTime, TimedResult
from longtake.errors import ServerError
from longtake.parsing import parsed

CITATION = {"text": "7.5", "time": 7.5, "supported": False, "chunk_index": None}
RESULT = {"start_time": 7.5, "end_time": 9, "text": "A dog.", "supported": True, "chunk_index": 2}
PLACE = {"start": 5, "stop": 8}


def test_a_time_has_a_place() -> None:
    assert parsed(FoundTime, {"text": "7.5", "time": 7.5} | PLACE) == FoundTime("7.5", 7.5, 5, 8)
    with pytest.raises(ServerError, match=r"FoundTime\.start"):
        parsed(FoundTime, {"text": "7.5", "time": 7.5})


def test_a_citation_of_an_older_server_has_none() -> None:
    assert parsed(Citation, CITATION | PLACE) == Citation("7.5", 7.5, False, None, 5, 8)
    assert parsed(Citation, CITATION) == Citation("7.5", 7.5, False, None, None, None)


def test_a_timed_result_of_a_chunk_has_none() -> None:
    assert parsed(TimedResult, RESULT | PLACE) == TimedResult(7.5, 9.0, "A dog.", True, 2, 5, 8)
    assert parsed(TimedResult, RESULT | {"start": None, "stop": None}) == TimedResult(7.5, 9.0, "A dog.", True, 2)
