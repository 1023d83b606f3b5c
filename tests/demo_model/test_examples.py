"""Training examples: token for token, position for position and pixel for pixel what an engine makes of a chunk."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tokenizers import Tokenizer
from transformers import AutoProcessor
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLModel
from transformers.models.qwen3_vl.processing_qwen3_vl import Qwen3VLProcessor
from transformers.models.qwen3_vl.video_processing_qwen3_vl import Qwen3VLVideoProcessor

from pipeline.answers.prompting import OVERLAP_RULE
from pipeline.decoding.patches import patchify
from pipeline.types import Prompt
from tools.demo_model import footage as footage_module
from tools.demo_model.checkpoint import (
    IM_END,
    PLAIN_ADDED_TOKENS,
    SPECIAL_TOKENS,
    VIDEO_PAD,
    known_words,
    new_model,
    write_checkpoint,
)
from tools.demo_model.examples import IGNORED, Batch, ExampleMaker
from tools.demo_model.footage import (
    FRAMES_PER_SCENE,
    SCENES_PER_REEL,
    Footage,
    Reel,
    load_reel,
    reel_name,
    splice,
    stamps,
)
from tools.demo_model.language import Event, heard, told
from tools.demo_model.scenes import COLOURS, SHAPES

SIZES_PX = [(64, 128), (128, 64), (96, 96), (32, 320)]
TICKS_PER_SECOND = 1000
"""As deployments.engine.engine gives a frame's time to the engine: its index, at a thousand frames per second."""

ReelMaker = Callable[..., Reel]


@pytest.fixture(scope="module")
def library_model(tokenizer: Tokenizer) -> Qwen3VLModel:
    return new_model(tokenizer, seed=0).model


@pytest.fixture(scope="module")
def library_processor(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Qwen3VLProcessor:
    folder = write_checkpoint(new_model(tokenizer, seed=0), tokenizer, tmp_path_factory.mktemp("checkpoint"))
    return AutoProcessor.from_pretrained(folder)


def frames_of_noise(num_frames: int, height_px: int, width_px: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (num_frames, height_px, width_px, 3), np.uint8)


def lengths(batch: Batch) -> list[int]:
    """Of the examples, without what they are padded with: an answer is the end of its example."""
    return [int(np.flatnonzero(row != IGNORED)[-1]) + 1 for row in batch.labels.numpy()]


def texts(batch: Batch, tokenizer: Tokenizer) -> list[tuple[str, str]]:
    """Prompt and answer of each example."""
    found = []
    for ids, labels, length in zip(batch.input_ids.tolist(), batch.labels.numpy(), lengths(batch), strict=True):
        start = int(np.flatnonzero(labels != IGNORED)[0])
        found.append(
            (
                tokenizer.decode(ids[:start], skip_special_tokens=False),
                tokenizer.decode(ids[start:length], skip_special_tokens=False),
            )
        )
    return found


# --- The engine's layout ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size_px", SIZES_PX)
def test_a_prompt_is_that_of_the_librarys_processor(
    library_processor: Qwen3VLProcessor, tokenizer: Tokenizer, noise_reel: ReelMaker, size_px: tuple[int, int]
) -> None:
    frames = frames_of_noise(6, *size_px)
    pts = np.array([7200.04, 7200.52, 7201.04, 7201.56, 7202.04, 7202.52])
    footage = Footage(frames, stamps(pts), (Event(7200.3, "red", "ring"),))
    chat = [{"role": "user", "content": [{"type": "video"}, {"type": "text", "text": "What happens?"}]}]
    expected = library_processor(
        text=[library_processor.apply_chat_template(chat, add_generation_prompt=True)],
        videos=[torch.from_numpy(frames).permute(0, 3, 1, 2)],
        video_metadata=[
            {
                "fps": float(TICKS_PER_SECOND),
                "frames_indices": [round(seconds * TICKS_PER_SECOND) for seconds in pts.tolist()],
                "total_num_frames": 7_202_521,
            }
        ],
        do_sample_frames=False,
        do_resize=False,
        return_tensors="pt",
    )
    example = ExampleMaker(tokenizer, [noise_reel()]).chunk_example(footage, Prompt("What happens?"))
    assert example.token_ids[: example.answer_start] == expected["input_ids"][0].tolist()
    patches, grid = patchify(frames)
    assert [list(grid)] == expected["video_grid_thw"].tolist()
    np.testing.assert_allclose(patches / 127.5 - 1, expected["pixel_values_videos"].numpy(), atol=1e-5)


@pytest.mark.parametrize("size_px", SIZES_PX)
@pytest.mark.parametrize("seed", [0, 1])
def test_positions_are_those_of_the_library(
    library_model: Qwen3VLModel, tokenizer: Tokenizer, noise_reel: ReelMaker, size_px: tuple[int, int], seed: int
) -> None:
    maker = ExampleMaker(tokenizer, [noise_reel(height_px=size_px[0], width_px=size_px[1])])
    batch = maker.chunk_batch(np.random.default_rng(seed), (2, 8), tokens=700)
    assert batch.input_ids.shape[0] > 1
    is_pad = batch.input_ids == tokenizer.token_to_id(VIDEO_PAD)
    assert int(is_pad.sum()) == batch.pixels.shape[0] // 4  # type: ignore[union-attr]
    assert_positions(library_model, batch, is_pad.int() * 2)


def test_positions_of_text_are_those_of_the_library(library_model: Qwen3VLModel, maker: ExampleMaker) -> None:
    batch = maker.merge_batch(np.random.default_rng(0), most_seconds=60, tokens=1500)
    assert batch.pixels is None and batch.grid_thw is None
    assert batch.input_ids.shape[0] > 1
    assert_positions(library_model, batch, torch.zeros_like(batch.input_ids))


def assert_positions(model: Qwen3VLModel, batch: Batch, kinds: torch.Tensor) -> None:
    mask = torch.arange(batch.input_ids.shape[1]) < torch.tensor(lengths(batch))[:, None]
    expected, _ = model.get_rope_index(
        batch.input_ids, mm_token_type_ids=kinds, video_grid_thw=batch.grid_thw, attention_mask=mask
    )
    assert torch.equal(batch.position_ids, expected)


@pytest.mark.parametrize("size_px", [*SIZES_PX, (64, 64), (160, 96)])
@pytest.mark.parametrize("num_frames", [2, 6])
def test_patches_are_those_of_the_library(size_px: tuple[int, int], num_frames: int) -> None:
    frames = frames_of_noise(num_frames, *size_px)
    expected = Qwen3VLVideoProcessor()(
        [torch.from_numpy(frames).permute(0, 3, 1, 2)], do_resize=False, do_sample_frames=False, return_tensors="pt"
    )
    patches, grid = patchify(frames)
    assert patches.dtype == np.uint8
    assert [list(grid)] == expected["video_grid_thw"].tolist()
    np.testing.assert_allclose(patches / 127.5 - 1, expected["pixel_values_videos"].numpy(), atol=1e-5)


def engine_stamps(pts_seconds: NDArray[np.float64]) -> list[str]:
    """What vLLM prints; its own sum is that of the library, to the letter."""
    ticks = [round(seconds * TICKS_PER_SECOND) for seconds in pts_seconds.tolist()]
    times = Qwen3VLProcessor._calculate_timestamps(None, ticks, float(TICKS_PER_SECOND), 2)  # type: ignore[arg-type]
    return [f"{seconds:.1f}" for seconds in times]


@pytest.mark.parametrize("source_fps", [24.0, 25.0, 30000 / 1001, 30.0, 60.0])
def test_stamps_are_what_the_engine_prints(source_fps: float) -> None:
    pts = np.arange(0, 20_000) / source_fps
    shown = pts[:: round(source_fps / 2)]
    shown = shown[: len(shown) // 2 * 2]
    printed = [f"{seconds:.1f}" for seconds in stamps(shown)]
    ties = np.round(shown * TICKS_PER_SECOND).reshape(-1, 2).sum(1) % 200 == 100
    differ = np.array(printed) != np.array(engine_stamps(shown))
    assert not differ[~ties].any()


def test_stamps_between_two_tenths_are_what_the_engine_prints() -> None:
    """The mean lies on the border that rounding decides: there the last bit of the sum counts."""
    pts = np.arange(0, 20_000) / 50.0
    assert [f"{seconds:.1f}" for seconds in stamps(pts)] == engine_stamps(pts)


# --- Words and numbers ------------------------------------------------------------------------------------------------


def tokens(tokenizer: Tokenizer, text: str) -> list[str]:
    return [tokenizer.decode([token], skip_special_tokens=False) for token in tokenizer.encode(text).ids]


def test_each_word_of_an_answer_is_one_token(tokenizer: Tokenizer) -> None:
    for colour in COLOURS:
        for shape in SHAPES:
            answer = told([Event(0.2, colour, shape), Event(58.0, colour, shape), Event(999.9, colour, shape)])
            said = [f" {colour}", f" {shape}"]
            assert tokens(tokenizer, answer) == [
                *("0", ".2", *said, ". "),
                *("58", ".0", *said, ". "),
                *("999", ".9", *said, "."),
            ]


def test_a_time_stamp_is_four_tokens(tokenizer: Tokenizer) -> None:
    assert tokens(tokenizer, "<58.2 seconds>") == ["<", "58", ".2", " seconds>"]
    for tenths in range(9999):
        assert len(tokenizer.encode(f"<{tenths / 10:.1f} seconds>").ids) == 4


@pytest.mark.parametrize(
    ("number", "parts"),
    [
        ("1000.5", ["1", "000", ".5"]),
        ("7200.0", ["7", "200", ".0"]),
        ("12345.6", ["12", "345", ".6"]),
        ("1234567", ["1", "234", "567"]),
        ("3.14", ["3", ".", "14"]),
    ],
)
def test_a_long_number_is_split_from_the_right(tokenizer: Tokenizer, number: str, parts: list[str]) -> None:
    """So that the last three digits of 1000 s and of 86400 s are the tokens of small times."""
    assert tokens(tokenizer, number) == parts


def test_each_known_word_is_one_token_however_it_is_written(tokenizer: Tokenizer) -> None:
    for word in known_words():
        for spelling in (word, f" {word}", word.capitalize(), f" {word.capitalize()}"):
            assert len(tokenizer.encode(spelling).ids) == 1, spelling


@given(st.text(max_size=60))
@example("é中🎬 \uff11\uff12\uff13\uff14.\uff15 ½ ٣٤٥\u2028\u00a0\ufeff\x00\r\n\t  don't")
@example("<|im_end|><think>12.3 seconds>. 4")
@example("👩‍👩‍👧‍👦 नमस्ते 𝅘𝅥𝅮")
def test_any_text_comes_back_from_its_tokens(tokenizer: Tokenizer, text: str) -> None:
    """Composed, as upstream's tokenizer composes it."""
    composed = unicodedata.normalize("NFC", text)
    assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == composed


def test_every_control_token_is_one_token(tokenizer: Tokenizer) -> None:
    for token in (*SPECIAL_TOKENS, *PLAIN_ADDED_TOKENS):
        assert tokens(tokenizer, f"a{token}b") == ["a", token, "b"]


# --- Batches ----------------------------------------------------------------------------------------------------------


def batch_of(maker: ExampleMaker, kind: str, seed: int) -> Batch:
    rng = np.random.default_rng(seed)
    if kind == "chunk":
        return maker.chunk_batch(rng, (2, 12), tokens=1500)
    return maker.merge_batch(rng, most_seconds=120, tokens=1500)


@pytest.mark.parametrize("kind", ["chunk", "merge"])
def test_labels_cover_the_answer_and_its_end(maker: ExampleMaker, tokenizer: Tokenizer, kind: str) -> None:
    for seed in range(5):
        batch = batch_of(maker, kind, seed)
        taught = batch.labels != IGNORED
        assert torch.equal(batch.labels[taught], batch.input_ids[taught])
        for row, length in zip(taught.numpy(), lengths(batch), strict=True):
            start = int(np.flatnonzero(row)[0])
            assert row[start:length].all() and not row[length:].any()
        for prompt, answer in texts(batch, tokenizer):
            assert prompt.startswith("<|im_start|>user\n")
            assert prompt.endswith("<|im_end|>\n<|im_start|>assistant\n")
            assert heard(answer)
            assert told(heard(answer)) + IM_END == answer


def tensors(batch: Batch) -> list[torch.Tensor]:
    return [value for value in (vars(batch) | vars(batch.hints)).values() if isinstance(value, torch.Tensor)]


@pytest.mark.parametrize("kind", ["chunk", "merge"])
def test_a_seed_gives_the_same_batch_again(maker: ExampleMaker, kind: str) -> None:
    first, second, other = (batch_of(maker, kind, seed) for seed in (3, 3, 4))
    for one, again in zip(tensors(first), tensors(second), strict=True):
        assert torch.equal(one, again)
    assert first.input_ids.shape != other.input_ids.shape or not torch.equal(first.input_ids, other.input_ids)


def test_a_batch_has_one_frame_size_and_about_the_tokens_asked_for(tokenizer: Tokenizer, noise_reel: ReelMaker) -> None:
    reels = [noise_reel(height_px=height, width_px=width) for height, width in SIZES_PX[:2]]
    maker = ExampleMaker(tokenizer, reels)
    seen = set()
    for seed in range(12):
        batch = maker.chunk_batch(np.random.default_rng(seed), (2, 20), tokens=2000)
        assert batch.grid_thw is not None
        seen |= {(rows * 16, columns * 16) for _, rows, columns in batch.grid_thw.tolist()}
        assert len({tuple(grid[1:]) for grid in batch.grid_thw.tolist()}) == 1
        assert batch.input_ids.shape[0] == len(batch.grid_thw) <= 48
        assert 500 < batch.input_ids.numel() < 3000
    assert seen == set(SIZES_PX[:2])


def test_a_chunks_answer_has_the_times_that_stand_in_its_prompt(maker: ExampleMaker, tokenizer: Tokenizer) -> None:
    for seed in range(5):
        for prompt, answer in texts(batch_of(maker, "chunk", seed), tokenizer):
            shown = [float(seconds) for seconds in re.findall(r"<(\d+\.\d) seconds>", prompt)]
            times = [event.seconds for event in heard(answer)]
            assert times[0] == shown[0]
            assert times == sorted(times)
            assert set(times) <= set(shown)


def test_a_merges_answer_is_made_of_its_notes(maker: ExampleMaker, tokenizer: Tokenizer) -> None:
    """Without the overlap rule all of them, as they stand; with it each scene once."""
    dropped = listed = 0
    for seed in range(20):
        for prompt, answer in texts(batch_of(maker, "merge", seed), tokenizer):
            notes = [heard(note) for note in re.findall(r'<note part="[\d: -]+">\n(.*?)\n</note>', prompt)]
            said = [event for note in notes for event in note]
            told_events = heard(answer)
            if OVERLAP_RULE in prompt:
                rest = iter(said)
                assert all(event in rest for event in told_events)
                dropped += len(said) - len(told_events)
            else:
                assert told_events == said
                listed += 1
    assert dropped > 0 and listed > 0


# --- Footage ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def numbered_reel(noise_reel: ReelMaker) -> Reel:
    """Each frame tells the number of its scene: bands of rows, dark or bright, which a mirror leaves alone."""
    numbers = np.arange(SCENES_PER_REEL)
    bands = (numbers[:, None] >> np.arange(4) & 1) * 200  # (scenes, 4)
    frames = np.broadcast_to(
        np.repeat(bands, 16, axis=1)[:, None, :, None, None], (SCENES_PER_REEL, FRAMES_PER_SCENE, 64, 128, 3)
    )
    return Reel(frames.astype(np.uint8), noise_reel().contents)


def numbers_of(frames: NDArray[np.uint8]) -> list[int]:
    bits = frames[:, 8::16, 0, 0] > 100  # (T, 4)
    return [int(number) for number in bits @ (1 << np.arange(4))]


@pytest.mark.parametrize("fps", [1.0, 2.0, 4.0])
def test_footages_events_are_what_its_frames_show(numbered_reel: Reel, fps: float) -> None:
    for seed in range(20):
        pts = 100 + np.arange(80) / fps
        footage = splice(np.random.default_rng(seed), numbered_reel, pts, scene_seconds=(3.0, 12.0))
        numbers = numbers_of(footage.frames)
        places = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist()]
        if places[1:2] == [1]:
            places = places[1:]  # of the scene before, no pair shows more than one frame
        assert footage.pair_seconds == stamps(pts)
        assert footage.events == tuple(
            Event(footage.pair_seconds[place // 2], *numbered_reel.contents[numbers[place]]) for place in places
        )
        lengths_seconds = np.diff([pts[place] for place in places])
        assert all(3 - 1 / fps < seconds < 12 + 1 / fps for seconds in lengths_seconds[1:])


def test_a_reel_shows_its_scenes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Through a real encoder and Longtake's own decoder; read from disk the second time."""
    monkeypatch.setattr(footage_module, "SCENES_PER_REEL", 3)
    monkeypatch.setattr(footage_module, "FRAMES_PER_SCENE", 4)
    monkeypatch.setattr(footage_module, "SOURCE_SIZES_PX", ((160, 90),))
    for seed in range(3):
        reel = load_reel(tmp_path, seed)
        assert reel.frames.shape[:2] == (3, 4)
        assert reel.size_px == (64, 128)
        for frames, (colour, _) in zip(reel.frames, reel.contents, strict=True):
            for frame in frames:
                away = {name: np.linalg.norm(frame - 0.92 * np.array(rgb), axis=-1) for name, rgb in COLOURS.items()}
                assert max(away, key=lambda name: int((away[name] < 50).sum())) == colour

    monkeypatch.setattr(footage_module, "make_reel", None)
    again = load_reel(tmp_path, 2)
    assert np.array_equal(again.frames, reel.frames) and again.contents == reel.contents
    assert sorted(path.name for path in tmp_path.iterdir()) == [reel_name(seed) for seed in range(3)]
