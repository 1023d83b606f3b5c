"""A video and the plan of its analysis as clients see them."""

from deployments.wire.schema import Schema
from pipeline.types import ChunkPlan, VideoInfo


class VideoInfoBody(Schema):
    width: int
    height: int
    fps: float
    duration: float
    """Seconds."""
    total_frames: int
    codec: str

    @classmethod
    def of(cls, video: VideoInfo) -> "VideoInfoBody":
        return cls(
            width=video.width,
            height=video.height,
            fps=round(video.fps, 3),
            duration=round(video.duration_seconds, 3),
            total_frames=video.total_frames,
            codec=video.codec,
        )


class PlannedChunkBody(Schema):
    chunk_index: int
    start_time: float
    end_time: float
    num_frames: int
    width: int
    """Pixels at which the model sees the frames."""
    height: int


class PlanBody(Schema):
    """The first event of a stream."""

    video_info: VideoInfoBody
    num_chunks: int
    chunk_duration: float
    chunks: list[PlannedChunkBody]
    notices: list[str]

    @classmethod
    def of(cls, plan: ChunkPlan) -> "PlanBody":
        return cls(
            video_info=VideoInfoBody.of(plan.video),
            num_chunks=len(plan.chunks),
            chunk_duration=plan.chunk_duration_seconds,
            chunks=[
                PlannedChunkBody(
                    chunk_index=chunk.index,
                    start_time=round(chunk.start_seconds, 3),
                    end_time=round(chunk.stop_seconds, 3),
                    num_frames=chunk.num_frames,
                    width=chunk.width_px,
                    height=chunk.height_px,
                )
                for chunk in plan.chunks
            ],
            notices=list(plan.notices),
        )
