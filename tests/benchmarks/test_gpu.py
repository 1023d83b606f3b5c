"""What of the benchmark on a GPU can be seen without one: the model's shapes, the arithmetic, the settings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers.decoders import DecodeStream
from transformers import AutoConfig, AutoTokenizer, Qwen3VLForConditionalGeneration

from benchmarks.gpu import (
    CHUNKS_IN_FLIGHT,
    GOAL_SECONDS,
    OBJECT_STORE_BYTES,
    QUANTIZATIONS,
    WORKLOADS,
    analysis_options,
    serving_args,
    write_serve_config,
)
from benchmarks.gpu_limits import TEXT_WEIGHTS, VISION_BLOCK_WEIGHTS, VISION_MERGER_WEIGHTS, Limits, Workload
from benchmarks.large_model import TEXT_SHAPE, write_model
from deployments.api.options import AnalysisOptions
from deployments.config import AppSettings
from deployments.model_choice import choose_model
from deployments.orchestrator import IN_FLIGHT_SHARE
from deployments.serving.embedded_server import load_config
from pipeline.planning.chunking import plan_chunks
from pipeline.planning.visual_tokens import frame_pair_tokens
from pipeline.types import Prompt, StoredVideo, TokenBudget, VideoInfo

SOURCE_FPS, SOURCE_SECONDS = 30, 960


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model"))


def test_the_shapes_are_those_of_the_published_model(model: Path) -> None:
    with torch.device("meta"):
        network = Qwen3VLForConditionalGeneration(AutoConfig.from_pretrained(model)).model
    weights = {name: weight.numel() for name, weight in network.named_parameters()}

    def count(*parts: str) -> int:
        return sum(number for name, number in weights.items() if any(part in name for part in parts))

    assert count("language_model.layers") == pytest.approx(TEXT_WEIGHTS, rel=0.01)
    assert count("visual.blocks", "visual.patch_embed") == pytest.approx(VISION_BLOCK_WEIGHTS, rel=0.01)
    assert count("merger") == pytest.approx(VISION_MERGER_WEIGHTS, rel=0.01)
    with_head = sum(weights.values()) + count("embed_tokens")
    assert with_head == pytest.approx(8.77e9, rel=0.002)  # as its card has it


def test_a_token_that_has_no_text_is_no_error(model: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(model)
    last = TEXT_SHAPE["vocab_size"] - 1
    assert tokenizer.decode([last]) == ""
    stream = DecodeStream(skip_special_tokens=True)  # as vLLM reads what is written
    assert stream.step(tokenizer.backend_tokenizer, last) in (None, "")


@pytest.mark.parametrize(
    ("chunk_seconds", "height_px", "width_px", "video_seconds_per_second"),
    [(32, 352, 640, 164), (60, 352, 640, 149), (128, 352, 640, 120), (60, 256, 448, 316)],
)
def test_the_limits_are_those_that_were_worked_out_by_hand(
    chunk_seconds: float, height_px: int, width_px: int, video_seconds_per_second: float
) -> None:
    workload = Workload("", chunk_seconds, height_px, width_px, completion_tokens=256)
    assert Limits().video_seconds_per_second(workload) == pytest.approx(video_seconds_per_second, rel=0.03)


def test_keys_and_values_in_fp8_are_read_in_half_the_time() -> None:
    workload = Workload("", 32, 352, 640, completion_tokens=256)
    limits = QUANTIZATIONS["fp8_per_channel"]
    assert limits.video_seconds_per_second(workload) == pytest.approx(193, rel=0.03)


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_a_film_is_cut_as_the_workload_says(workload: Workload) -> None:
    job = AnalysisOptions(**analysis_options(workload)).job(
        StoredVideo("file"), Prompt("What?"), choose_model(AppSettings(), num_gpus=1, vllm_has_cuda=True)
    )
    pts_seconds = np.arange(SOURCE_FPS * SOURCE_SECONDS) / SOURCE_FPS
    video = VideoInfo(
        width=1280,
        height=720,
        fps=SOURCE_FPS,
        duration_seconds=SOURCE_SECONDS,
        total_frames=len(pts_seconds),
        codec="h264",
        container="mp4",
        size_bytes=1,
        fingerprint="",
        is_variable_frame_rate=False,
        clock_offset_seconds=0.0,
    )
    plan = plan_chunks(video, pts_seconds, job.chunking, TokenBudget(65536, 1000), max_chunks=1000)
    assert len(plan.chunks) == SOURCE_SECONDS / workload.chunk_seconds
    for chunk in plan.chunks:
        tokens = chunk.num_frames // 2 * frame_pair_tokens(chunk.height_px, chunk.width_px)
        assert (chunk.num_frames, tokens) == (workload.frames_per_chunk, workload.vision_tokens)
        assert chunk.frame_bytes * CHUNKS_IN_FLIGHT <= OBJECT_STORE_BYTES * IN_FLIGHT_SHARE


def test_the_peers_chunks_have_the_peers_tokens() -> None:
    peer, ours = WORKLOADS
    assert peer.vision_tokens == pytest.approx(9000, rel=0.03)
    assert ours.vision_tokens == 7040
    assert {name for name, _ in GOAL_SECONDS} == {peer.name, ours.name}


def test_the_settings_are_ones_that_the_server_takes(model: Path, tmp_path: Path) -> None:
    args = serving_args(model, "fp8_per_channel")
    choice = choose_model(AppSettings(**args), num_gpus=1, vllm_has_cuda=True)
    assert (choice.device, choice.engine_args["load_format"]) == ("cuda", "dummy")
    assert choice.environment["HF_HUB_OFFLINE"] == "1"
    config = load_config(write_serve_config(tmp_path / "serve_config.yaml", num_decoders=14), args)
    scaling = {deployment.name: deployment.autoscaling_config for deployment in config.applications[0].deployments}
    assert scaling["FrameDecoder"]["min_replicas"] == scaling["FrameDecoder"]["max_replicas"] == 14


def test_it_refuses_where_there_is_no_gpu() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu"],
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert "needs an NVIDIA GPU" in ran.stderr
    assert "Traceback" not in ran.stderr
