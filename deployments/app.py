"""Builds the graph of all deployments."""

# No `from __future__ import annotations` here: Serve reads the annotation of build_app's argument.

from importlib.metadata import PackageNotFoundError, version

import ray
from ray import serve
from ray.serve import Application

from deployments.aggregator import Aggregator
from deployments.analysis_runner import AnalysisRunner
from deployments.chunker import Chunker
from deployments.config import AppSettings
from deployments.frame_decoder import FrameDecoder
from deployments.ingress import Ingress
from deployments.logs import logger
from deployments.model_choice import ModelChoice, choose_model
from deployments.orchestrator import Orchestrator
from deployments.vision_language_model import VisionLanguageModel


def build_app(args: AppSettings) -> Application:
    """Build the graph for `serve run serve_config.yaml`, with a model that suits the cluster."""
    num_gpus = ray.cluster_resources().get("GPU", 0)
    choice = choose_model(args, num_gpus=num_gpus, vllm_has_cuda=_vllm_has_cuda())
    logger.info("Longtake serves %s on %s: %s", choice.model, choice.device, choice.reason)
    if args.store.url is None and sum(node["Alive"] for node in ray.nodes()) > 1:
        logger.warning(
            "Stored analyses are in a file of one node, and the cluster has several nodes: set store.url to PostgreSQL."
        )
    return build_graph(args, choice)


def build_graph(settings: AppSettings, choice: ModelChoice) -> Application:
    """Bind the deployments. Their options are in serve_config.yaml, except for the engine's placement."""
    engine = serve.deployment(VisionLanguageModel, **choice.deployment_options).bind(choice)
    chunker = serve.deployment(Chunker).bind(settings.sources, settings.limits, settings.analysis.max_chunks)
    frame_decoder = serve.deployment(FrameDecoder).bind(settings.sources, settings.decoding)
    aggregator = serve.deployment(Aggregator).bind(engine)
    orchestrator = serve.deployment(Orchestrator).bind(
        chunker, frame_decoder, engine, aggregator, settings.analysis, settings.store, choice
    )
    runner = serve.deployment(AnalysisRunner).bind(orchestrator, settings, choice)
    return serve.deployment(Ingress).bind(orchestrator, runner, settings, choice)


def _vllm_has_cuda() -> bool:
    """Whether the installed vLLM is its CUDA build. Importing it would take 13 s."""
    try:
        return bool(version("vllm"))
    except PackageNotFoundError:
        return False
