"""Decoders and engine on nodes of their own, chosen by label: the answers are those of one node."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.graph.running import RunningGraph
from tests.multi_node.labelled_graph import ask

ROOT = Path(__file__).parents[2]
BODY = {
    "prompt": "What happens?",
    "video_path": "short.mp4",
    "chunk_duration": 2,
    "chunk_overlap": 0,
    "max_tokens": 12,
    "temperature": 0,
    "seed": 1,
}
TIMEOUT_SECONDS = 240


def test_the_answers_are_the_same_and_the_work_is_where_the_labels_say(graph: RunningGraph) -> None:
    single_node_answer = ask(graph.url, BODY)
    labelled = report_of_the_labelled_graph(graph.media)
    nodes, answer = labelled["nodes"], labelled["answer"]
    assert labelled["places"] == {"FrameDecoder": [nodes["decode"]], "VisionLanguageModel": [nodes["engine"]]}
    responses = [chunk["response"] for chunk in answer["chunk_results"]]
    assert responses == [chunk["response"] for chunk in single_node_answer["chunk_results"]]
    assert answer["aggregated_response"] == single_node_answer["aggregated_response"]


def report_of_the_labelled_graph(media: Path) -> dict[str, Any]:
    run = subprocess.run(
        [sys.executable, "-m", "tests.multi_node.labelled_graph", str(media), json.dumps(BODY)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=True,
    )
    report: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return report
