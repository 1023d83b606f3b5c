"""A plan as JSON, field by field."""

from __future__ import annotations

from deployments.wire.plan_bodies import PlanBody
from tests.deployments.api.fakes import PLAN
from tests.deployments.api.result_bodies import VIDEO_INFO


def test_plan_field_by_field() -> None:
    body = PlanBody.of(PLAN).model_dump()
    chunks = body.pop("chunks")
    assert body == {
        "video_info": VIDEO_INFO,
        "num_chunks": 2,
        "chunk_duration": PLAN.chunk_duration_seconds,
        "notices": list(PLAN.notices),
    }
    assert chunks == [
        {
            "chunk_index": chunk.index,
            "start_time": start,
            "end_time": stop,
            "num_frames": chunk.num_frames,
            "width": chunk.width_px,
            "height": chunk.height_px,
        }
        for chunk, (start, stop) in zip(PLAN.chunks, [(0.0, 60.0), (58.0, 118.0)], strict=True)
    ]
