"""Training: a shortcut that changes nothing, runs that go on where they stopped, and the checkpoint at the end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoProcessor, AutoTokenizer, Qwen3VLForConditionalGeneration

from tools.demo_model import training
from tools.demo_model.checkpoint import CHAT_TEMPLATE, IM_END, VIDEO_PAD, new_model, write_checkpoint
from tools.demo_model.examples import IGNORED, Batch, ExampleMaker
from tools.demo_model.footage import Reel, reel_name
from tools.demo_model.hints import HintHeads
from tools.demo_model.training import (
    DECAY_SHARE,
    PEAK_LEARNING_RATE,
    WARMUP_STEPS,
    Batches,
    Schedule,
    loss_and_hits,
    make_faster,
    train,
)

ReelMaker = Callable[..., Reel]


@pytest.fixture(scope="module")
def chunk_batch(maker: ExampleMaker) -> Batch:
    """Several videos of different lengths."""
    batch = maker.chunk_batch(np.random.default_rng(1), (2, 6), tokens=300)
    assert batch.grid_thw is not None and len(batch.grid_thw) > 1
    return batch


@pytest.fixture(scope="module")
def merge_batch(maker: ExampleMaker) -> Batch:
    return maker.merge_batch(np.random.default_rng(0), most_seconds=60, tokens=500)


def loss_and_gradients(
    model: Qwen3VLForConditionalGeneration, batch: Batch
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    model.zero_grad(set_to_none=True)
    loss, _ = loss_and_hits(model, batch)
    loss.backward()
    gradients = {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}
    return loss.detach(), gradients


# --- The loss ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["chunk", "merge"])
def test_what_is_faster_changes_no_output(
    tokenizer: Tokenizer, chunk_batch: Batch, merge_batch: Batch, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "QUERIES_PER_BLOCK", 40)
    batch = chunk_batch if kind == "chunk" else merge_batch
    assert batch.input_ids.shape[1] > 2 * 40
    model = new_model(tokenizer, seed=0)
    loss, gradients = loss_and_gradients(model, batch)
    make_faster(model)
    faster_loss, faster_gradients = loss_and_gradients(model, batch)
    assert float(faster_loss) == pytest.approx(float(loss), abs=1e-4)
    assert gradients.keys() == faster_gradients.keys()
    if kind == "chunk":
        assert gradients.keys() == {name for name, _ in model.named_parameters()}
    for name, gradient in gradients.items():
        scale = float(gradient.abs().max())
        torch.testing.assert_close(faster_gradients[name], gradient, rtol=1e-3, atol=1e-3 * scale + 1e-9)


@pytest.mark.parametrize("kind", ["chunk", "merge"])
def test_the_loss_is_the_librarys(tokenizer: Tokenizer, chunk_batch: Batch, merge_batch: Batch, kind: str) -> None:
    """Which is told nothing of our positions, and finds its own."""
    batch = chunk_batch if kind == "chunk" else merge_batch
    model = new_model(tokenizer, seed=0).eval()
    loss, hits = loss_and_hits(model, batch)
    loss = loss.detach()
    is_pad = batch.input_ids == tokenizer.token_to_id(VIDEO_PAD)
    lengths = [int(torch.nonzero(row != IGNORED)[-1]) + 1 for row in batch.labels]
    with torch.no_grad():
        expected = model(
            input_ids=batch.input_ids,
            attention_mask=(torch.arange(batch.input_ids.shape[1]) < torch.tensor(lengths)[:, None]).long(),
            pixel_values_videos=None if batch.pixels is None else batch.pixels / 127.5 - 1,
            video_grid_thw=batch.grid_thw,
            mm_token_type_ids=is_pad.int() * 2,
            labels=batch.labels,
        ).loss
    assert float(loss) == pytest.approx(float(expected), abs=1e-4)
    assert len(hits) == int((batch.labels != IGNORED).sum())


# --- The schedule -----------------------------------------------------------------------------------------------------


def test_the_learning_rate_goes_up_stays_level_and_falls() -> None:
    steps = 10_000
    rates = np.array([Schedule(steps).learning_rate(step) for step in range(steps)])
    falls = round((1 - DECAY_SHARE) * steps)
    assert rates[0] == pytest.approx(PEAK_LEARNING_RATE / WARMUP_STEPS)
    assert (np.diff(rates[:WARMUP_STEPS]) > 0).all()
    assert rates[WARMUP_STEPS:falls] == pytest.approx(PEAK_LEARNING_RATE)
    assert (np.diff(rates[falls + 50 :]) < 0).all()
    assert rates[-1] == pytest.approx(0.01 * PEAK_LEARNING_RATE, rel=0.05)


def test_a_run_may_be_made_longer_while_its_rate_is_level() -> None:
    for step in (0, 100, 3000, 3900):
        assert Schedule(10_000).learning_rate(step) == Schedule(20_000).learning_rate(step)


def test_a_step_has_the_same_batch_whenever_it_comes(maker: ExampleMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    make_training_small(monkeypatch)
    schedule = Schedule(6)
    whole = list(Batches(schedule, maker, 0))
    rest = list(Batches(schedule, maker, 4))
    assert len(whole) == 6 and len(rest) == 2
    for one, again in zip(whole[4:], rest, strict=True):
        assert torch.equal(one.input_ids, again.input_ids)


# --- Runs -------------------------------------------------------------------------------------------------------------


def make_training_small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "NUM_REELS": 2,
        "LOADERS": 1,
        "WARMUP_STEPS": 2,
        "SHORT_STEPS": 1,
        "GROWING_STEPS": 3,
        "LONGEST_CHUNK_PAIRS": 12,
        "CHUNK_TOKENS": 300,
        "MERGE_TOKENS": 300,
        "MERGE_SHARE": 0.4,
        "SAVE_EVERY_STEPS": 2,
        "REPORT_EVERY_STEPS": 2,
    }.items():
        monkeypatch.setattr(training, name, value)


@pytest.fixture
def work_dirs(tmp_path: Path, noise_reel: ReelMaker) -> list[Path]:
    """Two, with the same small reels."""
    folders = [tmp_path / "one", tmp_path / "other"]
    for folder in folders:
        (folder / "reels").mkdir(parents=True)
        for seed in range(2):
            reel = noise_reel(seed, height_px=32, width_px=64 * (seed + 1))
            np.savez(folder / "reels" / reel_name(seed), frames=reel.frames, contents=np.array(reel.contents))
    return folders


def run(work_dir: Path, steps: int = 5) -> Path:
    train(work_dir, work_dir / "checkpoint", steps=steps, device="cpu", threads=1)
    return work_dir / "checkpoint"


def test_an_interrupted_run_ends_as_one_that_was_not(
    work_dirs: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is stopped in its fourth step, and goes on from what was saved after the second."""
    make_training_small(monkeypatch)
    whole, interrupted = work_dirs
    expected = run(whole)

    compute, computed = training.loss_and_hits, []

    def stops(model: Qwen3VLForConditionalGeneration, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        if len(computed) == 3:
            raise KeyboardInterrupt
        computed.append(batch)
        return compute(model, batch)

    monkeypatch.setattr(training, "LOADERS", 2)  # as another machine may have
    with monkeypatch.context() as patched:
        patched.setattr(training, "loss_and_hits", stops)
        with pytest.raises(KeyboardInterrupt):
            run(interrupted)
    assert not (interrupted / "checkpoint").exists()
    assert torch.load(interrupted / "training.pt")["step"] == 2
    written = run(interrupted)
    assert "Going on from step 2" in capsys.readouterr().out

    states = [torch.load(folder / "training.pt") for folder in work_dirs]
    assert [state["step"] for state in states] == [5, 5]
    for part in ("model", "heads"):
        for name, weight in states[0][part].items():
            assert torch.equal(weight, states[1][part][name]), name
    moments = [state["optimizer"]["state"] for state in states]
    for key, values in moments[0].items():
        assert all(torch.equal(value, moments[1][key][name]) for name, value in values.items())
    assert (written / "model.safetensors").read_bytes() == (expected / "model.safetensors").read_bytes()
    assert sorted(path.name for path in interrupted.iterdir()) == ["checkpoint", "reels", "training.pt"]


def test_a_run_changes_every_weight(
    work_dirs: list[Path], tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None is left out of the optimizer or of the loss."""
    make_training_small(monkeypatch)
    monkeypatch.setattr(training, "MERGE_SHARE", 0.0)
    run(work_dirs[0], steps=2)
    trained = torch.load(work_dirs[0] / "training.pt")["model"]
    for name, weight in new_model(tokenizer, seed=0).named_parameters():
        assert not torch.equal(weight, trained[name]), name


def test_training_teaches(tokenizer: Tokenizer, chunk_batch: Batch) -> None:
    """A batch that is shown again and again is learned."""
    model = new_model(tokenizer, seed=0)
    make_faster(model)
    heads = HintHeads(model.model.language_model.layers, model.config.text_config.hidden_size, seed=0)
    optimizer = training._optimizer(model, heads)
    losses = []
    for _ in range(12):
        loss, hits = loss_and_hits(model, chunk_batch)
        hints_loss, _ = heads(chunk_batch.hints, model.get_input_embeddings().weight)
        (loss + hints_loss).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append([loss.item(), hints_loss.item()])
    first, last = np.array(losses)[[0, -1]]
    assert (last < 0.5 * first).all()
    assert float(hits.float().mean()) > 0.15


# --- The checkpoint ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checkpoint(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(new_model(tokenizer, seed=0), tokenizer, tmp_path_factory.mktemp("models") / "demo")


def test_a_checkpoint_has_all_files(checkpoint: Path) -> None:
    assert sorted(path.name for path in checkpoint.iterdir()) == [
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "preprocessor_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "video_preprocessor_config.json",
    ]
    for path in checkpoint.iterdir():
        assert path.stat().st_mode & 0o444 == 0o444, f"{path.name} can be read by its owner alone"


def test_a_new_model_is_in_float32(tokenizer: Tokenizer) -> None:
    """The optimizer's small steps are lost on coarser numbers."""
    assert {weight.dtype for weight in new_model(tokenizer, seed=0).parameters()} == {torch.float32}


def test_a_new_model_is_the_same_each_time(tokenizer: Tokenizer) -> None:
    state = torch.random.get_rng_state()
    first, second = (new_model(tokenizer, seed=0).state_dict() for _ in range(2))
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_library_loads_the_model(checkpoint: Path, tokenizer: Tokenizer) -> None:
    loaded, report = Qwen3VLForConditionalGeneration.from_pretrained(checkpoint, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"] and not report["mismatched_keys"]
    assert loaded.dtype == torch.bfloat16
    original = new_model(tokenizer, seed=0).state_dict()
    for name, value in loaded.state_dict().items():
        assert torch.equal(value, original[name].to(torch.bfloat16)), name
    assert loaded.lm_head.weight is loaded.model.language_model.embed_tokens.weight
    im_end = tokenizer.token_to_id(IM_END)
    assert im_end in loaded.generation_config.eos_token_id


def test_a_loaded_model_answers_as_the_one_written(checkpoint: Path, tokenizer: Tokenizer, chunk_batch: Batch) -> None:
    loaded = Qwen3VLForConditionalGeneration.from_pretrained(checkpoint).float()
    with torch.no_grad():
        ours, theirs = (float(loss_and_hits(model, chunk_batch)[0]) for model in (new_model(tokenizer, seed=0), loaded))
    assert ours == pytest.approx(theirs, abs=0.02)  # bfloat16 has 8 bits


def test_the_config_is_the_one_that_older_readers_know(checkpoint: Path, tokenizer: Tokenizer) -> None:
    written = json.loads((checkpoint / "config.json").read_text())
    assert written["text_config"]["rope_scaling"]["mrope_interleaved"] is True
    assert sum(written["text_config"]["rope_scaling"]["mrope_section"]) == written["text_config"]["head_dim"] // 2
    config = AutoConfig.from_pretrained(checkpoint)
    assert config.model_type == "qwen3_vl"
    assert config.video_token_id == tokenizer.token_to_id(VIDEO_PAD)
    assert config.text_config.vocab_size == tokenizer.get_vocab_size()
    assert config.text_config.max_position_embeddings >= 262144


def test_the_library_loads_the_tokenizer(checkpoint: Path, tokenizer: Tokenizer) -> None:
    loaded = AutoTokenizer.from_pretrained(checkpoint)
    text = "<12345.6 seconds><|vision_start|><|video_pad|><|vision_end|>What happens, é中🎬?<|im_end|>\n"
    assert loaded.encode(text) == tokenizer.encode(text).ids
    assert loaded.decode(loaded.encode(text)) == text
    assert loaded.decode(loaded.encode("0.2 red ring. <think>" + IM_END), skip_special_tokens=True) == (
        "0.2 red ring. <think>"
    )
    assert (loaded.eos_token, loaded.pad_token) == (IM_END, "<|endoftext|>")
    assert loaded.chat_template == CHAT_TEMPLATE


def test_the_library_loads_the_processor(checkpoint: Path) -> None:
    processor = AutoProcessor.from_pretrained(checkpoint)
    vision = AutoConfig.from_pretrained(checkpoint).vision_config
    for part in (processor.video_processor, processor.image_processor):
        assert part.patch_size == vision.patch_size == 16
        assert part.temporal_patch_size == vision.temporal_patch_size == 2
        assert part.merge_size == vision.spatial_merge_size == 2
        assert list(part.image_mean) == list(part.image_std) == [0.5, 0.5, 0.5]
