"""The names of a checkout, found without an import."""

from __future__ import annotations

from pathlib import Path

from tests.checks.checkouts import checkout
from tools.checks.names import Names

MODULE = '''
import os
from pipeline.base import Base as Root

try:
    FAST: bool = True
except ImportError:
    SLOW = 1
if os.name:
    def chosen() -> None: ...


class Child(Root):
    """A child."""

    size = 1

    class Inner: ...

    def __init__(self) -> None:
        self.kept = {"key_of_dict": 1}  # a_comment_word
'''


def names_of(root: Path) -> Names:
    base = "class Base:\n    def inherited(self) -> None: ...\n"
    return Names(checkout(root, pipeline__base_py=base, pipeline__video__module_py=MODULE))


def test_modules_have_their_top_level_names(tmp_path: Path) -> None:
    modules = names_of(tmp_path).modules
    assert {"os", "Root", "FAST", "SLOW", "chosen", "Child"} == modules["pipeline.video.module"]
    assert modules["pipeline"] == {"base", "video"}
    assert modules["pipeline.video"] == {"module"}


def test_dotted_names_lead_to_what_exists(tmp_path: Path) -> None:
    names = names_of(tmp_path)
    for dotted in ("pipeline.video", "pipeline.video.module.FAST", "pipeline.video.module.Child.kept"):
        assert names.defines(dotted)
    for dotted in ("pipeline.audio", "pipeline.video.module.LATE", "pipeline.video.module.Child.lost", "torch.nn"):
        assert not names.defines(dotted)


def test_members_are_inherited(tmp_path: Path) -> None:
    members = names_of(tmp_path).members
    assert members["Base"] == {"inherited"}
    assert {"size", "Inner", "kept", "__init__"} <= members["Child"]


def test_words_are_those_of_code(tmp_path: Path) -> None:
    names = names_of(tmp_path)
    assert "key_of_dict" in names.words
    assert "a_comment_word" not in names.words
    assert not {"A", "child"} & names.words


def test_names_are_known_as_clients_and_operators_see_them(tmp_path: Path) -> None:
    code = 'class SourceChanged(Exception): ...\nCOUNTER = "longtake_frames"\n'
    names = Names(checkout(tmp_path, pipeline__errors_py=code))
    for name in ("SourceChanged", "source_changed", "longtake_frames", "frames_total", "longtake_frames_total"):
        assert names.contain(name)
    for name in ("SourceLost", "source_lost", "pictures_total"):
        assert not names.contain(name)


def test_make_targets(tmp_path: Path) -> None:
    assert names_of(tmp_path).make_targets == {"check", "bench-gpu", "setup"}
