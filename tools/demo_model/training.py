"""Trains the demo model: `make train-demo-model`. Goes on where it was stopped.

`python -m tools.demo_model.training --steps 20000 --output models/demo` says how long, and where to.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import MethodType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from tokenizers import Tokenizer
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset
from transformers import AttentionInterface, Qwen3VLForConditionalGeneration
from transformers.models.qwen3_vl.modeling_qwen3_vl import apply_rotary_pos_emb_vision

from pipeline.answers.prompting import DEFAULT_MERGE_INSTRUCTION
from tools.demo_model.checkpoint import make_tokenizer, new_model, write_checkpoint
from tools.demo_model.examples import IGNORED, LONGEST_CHUNK_PAIRS, Batch, ExampleMaker
from tools.demo_model.footage import load_reels
from tools.demo_model.hints import HINT_LAYERS, HintHeads
from tools.demo_model.language import INSTRUCTION_WITHOUT_OVERLAP_RULE, PROMPTS

NUM_REELS = 480
STEPS = 16_300
PEAK_LEARNING_RATE = 2e-3
WARMUP_STEPS = 200
DECAY_SHARE = 0.6
"""Of all steps: over the last of them the learning rate falls."""
WEIGHT_DECAY = 0.05
CLIPPED_NORM = 1.0
HINTS_SHARE = 0.3
"""Of the hints' losses in what is minimised, beside the answer's."""
CHUNK_TOKENS, MERGE_TOKENS = 5_000, 4_000
"""Per step, about."""
MERGE_SHARE = 0.4
FEWEST_PAIRS = 2
SHORTEST_CURRICULUM_PAIRS = 10
SHORT_STEPS, GROWING_STEPS = 800, 3_000
"""Examples stay short until the model has learned to copy, then grow to the longest."""
LONG_CHUNKS_SHARES = ((0, 0.0), (13_000, 0.6), (15_600, 0.35))
"""Of the batches from that step on: what is learned last is a chunk of a minute with ten scenes and more, and among
lengths drawn evenly it is one example in a hundred."""
FEWEST_LONG_PAIRS = 50
LONG_CHUNK_TOKENS = 7_000
QUERIES_PER_BLOCK = 256
LOADERS = max(1, min(8, (os.cpu_count() or 1) - 1))
SAVE_EVERY_STEPS = 250
REPORT_EVERY_STEPS = 100


@dataclass(frozen=True)
class Schedule:
    """What a step does, from its number alone: so a run that was stopped goes on as if it had not been."""

    steps: int

    def learning_rate(self, step: int) -> float:
        """Up, level, and down at the end: so that a run may be made longer or shorter while it goes on."""
        left = (self.steps - step) / (DECAY_SHARE * self.steps)
        return PEAK_LEARNING_RATE * min(1.0, (step + 1) / WARMUP_STEPS, 0.01 + 0.99 * left)

    def batch(self, step: int, maker: ExampleMaker) -> Batch:
        rng = np.random.default_rng([step, 7])
        long_chunks_share = [share for first, share in LONG_CHUNKS_SHARES if step >= first][-1]
        if long_chunks_share and rng.random() < long_chunks_share:
            return maker.chunk_batch(rng, (FEWEST_LONG_PAIRS, LONGEST_CHUNK_PAIRS), tokens=LONG_CHUNK_TOKENS)
        grown = min(1.0, max(0.0, (step - SHORT_STEPS) / GROWING_STEPS))
        if rng.random() < MERGE_SHARE:
            return maker.merge_batch(rng, most_seconds=40 + 580 * grown, tokens=MERGE_TOKENS)
        pairs = round(SHORTEST_CURRICULUM_PAIRS + (LONGEST_CHUNK_PAIRS - SHORTEST_CURRICULUM_PAIRS) * grown)
        return maker.chunk_batch(rng, (FEWEST_PAIRS, pairs), tokens=CHUNK_TOKENS)


class Batches(IterableDataset[Batch]):
    """The batches of the steps from `first` on."""

    def __init__(self, schedule: Schedule, maker: ExampleMaker, first: int) -> None:
        self._schedule, self._maker, self._first = schedule, maker, first

    def __iter__(self) -> Iterator[Batch]:
        worker = torch.utils.data.get_worker_info()
        offset, stride = (worker.id, worker.num_workers) if worker else (0, 1)
        for step in range(self._first + offset, self._schedule.steps, stride):
            yield self._schedule.batch(step, self._maker)


def make_faster(model: Qwen3VLForConditionalGeneration) -> None:
    """Lets the vision tower see all pairs of a batch at once and, on CPU, the text model attend in blocks.

    The library attends to each pair of frames in a loop; here all of them have one size, so they make one tensor.
    The same sums: on CPU a step takes half the time.
    """
    on_cpu = model.device.type == "cpu"
    model.model.language_model.config._attn_implementation = "causal_in_blocks" if on_cpu else "sdpa"
    visual = model.model.visual
    visual.patch_embed.forward = MethodType(_linear_patch_embedding, visual.patch_embed)
    for block in visual.blocks:
        block.attn.forward = MethodType(_attention_of_equal_frames, block.attn)


def _linear_patch_embedding(embedding: Any, hidden_states: torch.Tensor) -> torch.Tensor:
    weight = embedding.proj.weight
    return functional.linear(hidden_states, weight.view(weight.shape[0], -1), embedding.proj.bias)


def _attention_of_equal_frames(
    attention: Any,
    hidden_states: torch.Tensor,
    cu_seqlens: torch.Tensor,
    position_embeddings: tuple[torch.Tensor, torch.Tensor],
    **_: Any,
) -> torch.Tensor:
    length, pairs = hidden_states.shape[0], len(cu_seqlens) - 1
    query, key, value = attention.qkv(hidden_states).reshape(length, 3, attention.num_heads, -1).unbind(1)
    query, key = apply_rotary_pos_emb_vision(query, key, *position_embeddings)
    query, key, value = (
        part.reshape(pairs, length // pairs, attention.num_heads, -1).transpose(1, 2) for part in (query, key, value)
    )
    # Written out: on CPU the fused kernel's backward takes several times as long over frames this small.
    shares = torch.softmax(query @ key.transpose(2, 3) * attention.scaling, dim=-1)
    projected: torch.Tensor = attention.proj((shares @ value).transpose(1, 2).reshape(length, -1))
    return projected


def _causal_attention_in_blocks(
    _module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *_args: Any,
    scaling: float,
    **_options: Any,
) -> tuple[torch.Tensor, None]:
    """Plain sums over what each block of queries may see. (B, heads, L, head_dim) to (B, L, heads, head_dim).

    On CPU it takes two thirds of the fused kernel's time, there and back, in bfloat16 at 700 to 1,700 tokens.
    """
    batch, heads, length, _ = query.shape
    group = heads // key.shape[1]
    key, value = (part.repeat_interleave(group, dim=1).flatten(0, 1) for part in (key, value))
    query, key = query.flatten(0, 1), key.transpose(1, 2)
    unseen = torch.full((length, length), float("-inf"), dtype=query.dtype, device=query.device).triu(1)
    blocks = []
    for start in range(0, length, QUERIES_PER_BLOCK):
        stop = min(start + QUERIES_PER_BLOCK, length)
        scores = torch.baddbmm(unseen[start:stop, :stop], query[:, start:stop], key[..., :stop], alpha=scaling)
        blocks.append(torch.softmax(scores, dim=-1, dtype=value.dtype) @ value[:, :stop])
    return torch.cat(blocks, dim=1).reshape(batch, heads, length, -1).transpose(1, 2), None


AttentionInterface.register("causal_in_blocks", _causal_attention_in_blocks)


def loss_and_hits(model: Qwen3VLForConditionalGeneration, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean loss over the answers' tokens, and per token of an answer whether it is the model's first choice."""
    encoded = {}
    if batch.pixels is not None:
        rows = batch.pixels.to(torch.float32) / 127.5 - 1
        encoded["video"] = model.model.get_video_features(rows, batch.grid_thw, return_dict=True)
    hidden = model.model(
        input_ids=batch.input_ids, position_ids=batch.position_ids, mm_encoder_outputs=encoded, use_cache=False
    ).last_hidden_state
    targets = batch.labels[:, 1:]
    taught = targets != IGNORED
    logits = model.lm_head(hidden[:, :-1][taught]).float()
    return functional.cross_entropy(logits, targets[taught]), logits.argmax(-1) == targets[taught]


@dataclass
class Progression:
    """All that a run needs to go on."""

    model: Qwen3VLForConditionalGeneration
    heads: HintHeads
    optimizer: torch.optim.Optimizer
    trained_for: str
    """Digest of the model's config, its vocabulary and the prompts it is taught."""
    step: int = 0

    def save(self, path: Path) -> None:
        unfinished = path.with_suffix(".unfinished")
        state = {
            "model": self.model.state_dict(),
            "heads": self.heads.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "trained_for": self.trained_for,
        }
        torch.save(state, unfinished)
        unfinished.rename(path)

    def load(self, path: Path) -> None:
        """Raises SystemExit where that run was for another model or other prompts."""
        state = torch.load(path, map_location="cpu")
        if state["trained_for"] != self.trained_for:
            raise SystemExit(f"{path} is of another model, vocabulary or prompt; --fresh starts anew.")
        self.model.load_state_dict(state["model"])
        self.heads.load_state_dict(state["heads"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]


def train(work_dir: Path, output: Path, *, steps: int, device: str, threads: int, fresh: bool = False) -> None:
    """Trains up to `steps` and writes the checkpoint to `output`. What a later call goes on from is in `work_dir`."""
    console = Console()
    torch.set_num_threads(threads)
    work_dir.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tokenizer()
    reels_dir = work_dir / "reels"
    reels_dir.mkdir(exist_ok=True)
    with console.status(f"Reading {NUM_REELS} reels; the first time they are made, in about a second each"):
        reels = load_reels(reels_dir, NUM_REELS)
    maker = ExampleMaker(tokenizer, reels)
    schedule = Schedule(steps)

    model = new_model(tokenizer, seed=0).to(device)  # type: ignore[arg-type]
    make_faster(model)
    text = model.model.language_model
    heads = HintHeads(text.layers, text.config.hidden_size, seed=0).to(device)
    run = Progression(model, heads, _optimizer(model, heads), trained_for=_digest(model, tokenizer))
    saved = work_dir / "training.pt"
    if saved.exists() and not fresh:
        run.load(saved)
        console.print(f"Going on from step {run.step} of {steps}; --fresh would start anew.")

    loader = DataLoader(Batches(schedule, maker, run.step), batch_size=None, num_workers=LOADERS, prefetch_factor=4)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    )  # fmt: skip
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("Training", total=steps, completed=run.step)
        seen = _Means()
        for loaded in loader:
            for group in run.optimizer.param_groups:
                group["lr"] = schedule.learning_rate(run.step)
            batch = _on(loaded, device)
            with torch.autocast(torch.device(device).type, torch.bfloat16):
                loss, hits = loss_and_hits(model, batch)
                hints_loss, hints_hits = heads(batch.hints, model.get_input_embeddings().weight)
            (loss + HINTS_SHARE * hints_loss).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIPPED_NORM)
            run.optimizer.step()
            run.optimizer.zero_grad(set_to_none=True)
            run.step += 1
            kind = "merge" if batch.pixels is None else "chunk"
            seen.add(kind, loss.item(), float(hits.float().mean()), *hints_hits.tolist())
            if run.step % REPORT_EVERY_STEPS == 0:
                console.print(f"step {run.step}: {seen.report()}")
            if run.step % SAVE_EVERY_STEPS == 0:
                run.save(saved)
            progress.update(bar, completed=run.step)
    run.save(saved)
    console.print(f"Written: {write_checkpoint(model, tokenizer, output)}")


class _Means:
    """Of what was seen since the last report."""

    def __init__(self) -> None:
        self._sums: dict[str, NDArray[np.float64]] = {}
        self._since = time.perf_counter()

    def add(self, kind: str, *values: float) -> None:
        self._sums[kind] = self._sums.get(kind, 0.0) + np.array([1.0, *values])

    def report(self) -> str:
        said = []
        for kind, (count, *sums) in sorted(self._sums.items()):
            loss, right, *hints = (value / count for value in sums)
            of_hints = ", ".join(f"{name} {share:.1%}" for name, share in zip(HINT_LAYERS, hints, strict=True))
            said.append(f"{kind} loss {loss:.4f}, right tokens {right:.2%} (hints: {of_hints})")
        seconds = (time.perf_counter() - self._since) / sum(sums[0] for sums in self._sums.values())
        self._sums, self._since = {}, time.perf_counter()
        return f"{', '.join(said)}, {seconds:.2f} s a step"


def _digest(model: Qwen3VLForConditionalGeneration, tokenizer: Tokenizer) -> str:
    prompts = (PROMPTS, DEFAULT_MERGE_INSTRUCTION, INSTRUCTION_WITHOUT_OVERLAP_RULE)
    parts = (model.config.to_json_string(), tokenizer.to_str(), *prompts)
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _optimizer(model: Qwen3VLForConditionalGeneration, heads: HintHeads) -> torch.optim.Optimizer:
    embeddings = model.get_input_embeddings().weight
    parameters = [*model.parameters(), *heads.parameters()]
    decayed = [p for p in parameters if p.ndim >= 2 and p is not embeddings]
    kept = [embeddings, *(p for p in parameters if p.ndim < 2)]
    groups = [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": kept, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=PEAK_LEARNING_RATE, betas=(0.9, 0.98))


def _on(batch: Batch, device: str) -> Batch:
    moved: dict[str, Any] = {name: None if value is None else value.to(device) for name, value in vars(batch).items()}
    return Batch(**moved)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the demo model; a run that was stopped goes on.")
    parser.add_argument("--work-dir", type=Path, default=Path("build/demo-model"), help="for footage and state")
    parser.add_argument("--output", type=Path, default=Path("models/demo"), help="folder of the checkpoint")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--fresh", action="store_true", help="start anew, also where a run was stopped or finished")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    train(
        arguments.work_dir,
        arguments.output,
        steps=arguments.steps,
        device=arguments.device,
        threads=arguments.threads,
        fresh=arguments.fresh,
    )


if __name__ == "__main__":
    main()
