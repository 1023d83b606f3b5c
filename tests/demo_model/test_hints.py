"""What the middle layers are told of an example, held against the example's own text."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from pipeline.answers.prompting import OVERLAP_RULE
from tools.demo_model.checkpoint import new_model
from tools.demo_model.examples import Batch, ExampleMaker
from tools.demo_model.hints import NO_START, NOTHING_BEFORE, Hint, HintHeads, Hints, as_hints
from tools.demo_model.language import Event, heard
from tools.demo_model.scenes import COLOURS, SHAPES
from tools.demo_model.training import loss_and_hits


def batches(maker: ExampleMaker, kind: str) -> list[Batch]:
    rngs = [np.random.default_rng(seed) for seed in range(12)]
    if kind == "chunk":
        return [maker.chunk_batch(rng, (2, 16), tokens=1500) for rng in rngs]
    return [maker.merge_batch(rng, most_seconds=200, tokens=1500) for rng in rngs]


def said(batch: Batch, row: int, tokenizer: Tokenizer) -> tuple[str, list[Event]]:
    """The prompt of an example, and the events of its answer."""
    start = int(torch.nonzero(batch.labels[row] != -100)[0])
    ids = batch.input_ids[row].tolist()
    return tokenizer.decode(ids[:start], skip_special_tokens=False), heard(tokenizer.decode(ids[start:]))


def of_row(hints: Hints, row: int) -> Hints:
    return Hints(**{name: value[hints.rows == row] for name, value in vars(hints).items()})


def contents(hints: Hints) -> list[tuple[str, str]]:
    return [
        (tuple(COLOURS)[colour], SHAPES[shape])
        for colour, shape in zip(hints.colours.tolist(), hints.shapes.tolist(), strict=True)
    ]


@pytest.mark.parametrize("kind", ["chunk", "merge"])
def test_the_places_at_which_events_start_make_up_the_answer(
    maker: ExampleMaker, tokenizer: Tokenizer, kind: str
) -> None:
    """And each of them leads to the next by the last token before its tenth."""
    for batch in batches(maker, kind):
        for row in range(len(batch.input_ids)):
            hints = of_row(batch.hints, row)
            prompt, events = said(batch, row, tokenizer)
            if kind == "merge" and OVERLAP_RULE not in prompt:
                continue
            starts = hints.starts.bool()
            shown = [content for content, is_start in zip(contents(hints), starts.tolist(), strict=True) if is_start]
            assert shown == [event.content for event in events]
            links = [str(tokenizer.id_to_token(link)) for link in hints.links[starts].tolist()]
            seconds = [str(int(event.seconds)) for event in events]
            assert links == [NOTHING_BEFORE, *(text[-3:] for text in seconds[:-1])]
            assert {tokenizer.id_to_token(link) for link in hints.links[~starts].tolist()} <= {NO_START}


def test_a_chunk_has_a_hint_at_the_end_of_each_pair(maker: ExampleMaker, tokenizer: Tokenizer) -> None:
    for batch in batches(maker, "chunk"):
        for row in range(len(batch.input_ids)):
            hints = of_row(batch.hints, row)
            prompt, events = said(batch, row, tokenizer)
            pairs = [float(seconds) for seconds in re.findall(r"<(\d+\.\d) seconds>", prompt)]
            assert len(hints.places) == len(pairs)
            for place, content, seconds in zip(hints.places.tolist(), contents(hints), pairs, strict=True):
                before = tokenizer.decode(batch.input_ids[row, : place + 1].tolist(), skip_special_tokens=False)
                assert re.search(
                    rf"<{seconds:.1f} seconds><\|vision_start\|>(<\|video_pad\|>)+<\|vision_end\|>$", before
                )
                assert content == [event.content for event in events if event.seconds <= seconds][-1]


def test_notes_have_a_hint_after_each_event(maker: ExampleMaker, tokenizer: Tokenizer) -> None:
    told_twice = 0
    for batch in batches(maker, "merge"):
        for row in range(len(batch.input_ids)):
            hints = of_row(batch.hints, row)
            prompt, _ = said(batch, row, tokenizer)
            events = heard(prompt)
            assert contents(hints) == [event.content for event in events]
            for place, event in zip(hints.places.tolist(), events, strict=True):
                before = tokenizer.decode(batch.input_ids[row, :place].tolist(), skip_special_tokens=False)
                assert before.endswith(str(event).rstrip("."))
            told_twice += int((hints.starts == 0).sum())
    assert told_twice > 0


def test_hints_lead_from_one_start_to_the_next(tokenizer: Tokenizer) -> None:
    one = [Hint(3, "red", "ring", 998), Hint(5, "red", "ring", None), Hint(7, "blue", "star", 1002)]
    other = [Hint(4, "white", "cross", 7), Hint(9, "cyan", "circle", 12), Hint(11, "cyan", "ring", 2000)]
    hints = as_hints([one, other], tokenizer)
    assert hints.rows.tolist() == [0, 0, 0, 1, 1, 1]
    assert hints.places.tolist() == [3, 5, 7, 4, 9, 11]
    assert hints.starts.tolist() == [1, 0, 1, 1, 1, 1]
    scenes, links = ([tokenizer.id_to_token(token) for token in ids.tolist()] for ids in (hints.scenes, hints.links))
    assert scenes == ["998", "998", "002", "7", "12", "000"]
    assert links == [NOTHING_BEFORE, NO_START, "998", NOTHING_BEFORE, "7", "12"]
    follows = as_hints([[Hint(1, "red", "ring", 1002), Hint(2, "red", "star", 1010)]], tokenizer)
    assert tokenizer.id_to_token(int(follows.links[1])) == "002"


def test_heads_read_the_layers_and_teach_them(maker: ExampleMaker, tokenizer: Tokenizer) -> None:
    """The hints alone reach what lies before the last layer that is read, and nothing behind it."""
    batch = batches(maker, "chunk")[0]
    model = new_model(tokenizer, seed=0)
    text = model.model.language_model
    heads = HintHeads(text.layers, text.config.hidden_size, seed=0)
    loss_and_hits(model, batch)
    loss, right = heads(batch.hints, model.get_input_embeddings().weight)
    assert right.shape == (4,) and ((right >= 0) & (right <= 1)).all()
    loss.backward()
    reached = [layer.mlp.down_proj.weight.grad is not None for layer in text.layers]
    assert reached == [True, True, True, True, True, False]
    assert model.model.visual.patch_embed.proj.weight.grad.abs().sum() > 0
    assert all(parameter.grad is not None for parameter in heads.parameters())
