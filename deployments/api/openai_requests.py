"""The request of OpenAI's chat completions, extended by Longtake's options."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from deployments.api.driving import Question
from deployments.api.openai_messages import TAGS, Message, prompt_of, video_of
from deployments.api.options import AnalysisOptions
from deployments.api.video_sources import RequestedVideo, at_sample_fps
from deployments.wire.validation import refuse_unsupported, validated
from pipeline.errors import InvalidRequest
from pipeline.types import LocalVideo
from pipeline.video.frame_lists import MAX_SAMPLE_FPS, MIN_SAMPLE_FPS


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class StreamOptions(_Options):
    include_usage: bool = False
    """Whether the last chunk contains the usage."""
    include_obfuscation: Literal[False] = False


class VideoIoOptions(_Options):
    fps: float | None = Field(default=None, ge=MIN_SAMPLE_FPS, le=MAX_SAMPLE_FPS)
    num_frames: Literal[-1] | None = None
    """-1 uses all frames. vLLM uses the first 32 by default; Longtake always uses all."""


class MediaIoOptions(_Options):
    video: VideoIoOptions = VideoIoOptions()


class ChatCompletionRequest(AnalysisOptions):
    """OpenAI's request, extended by Longtake's own options (`extra_body` in the official client)."""

    model: str
    messages: list[Message] = Field(min_length=1)
    """A conversation about one video. A user message contains the video, and the last message is the question."""
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_completion_tokens: int | None = Field(default=None, ge=1)
    """Overrides max_tokens, its older name."""
    n: Literal[1] = 1
    modalities: list[Literal["text"]] | None = None
    service_tier: Literal["auto", "default"] | None = None
    tool_choice: Literal["none", "auto"] | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: Literal["none"] | None = None
    store: Literal[False] | None = None
    user: str | None = None
    safety_identifier: str | None = None
    metadata: dict[str, str] | None = None
    prompt_cache_key: str | None = None
    """Ignored: repeated questions hit the caches without it; `cache_salt` separates them."""
    prediction: dict[str, Any] | None = None
    """Ignored: it changes no answer in OpenAI's API either."""
    video_path: str | None = None
    """A file on the server, below one of its media roots, instead of a video part in a message."""
    media_io_kwargs: MediaIoOptions = MediaIoOptions()
    """vLLM's name for sample_fps is `media_io_kwargs.video.fps`; sample_fps overrides it."""

    @property
    def includes_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage


_UNSUPPORTED_FIELDS = {
    "tools": "Longtake calls no tools; use response_format for structured output",
    "functions": "Longtake calls no functions; use response_format for structured output",
    "function_call": "Longtake calls no functions",
    "logit_bias": "tokens cannot be weighted; response_format and stop constrain the answer",
    "audio": "answers are text",
    "web_search_options": "Longtake does not search the web",
    "verbosity": "describe the length in the prompt, and limit it by max_tokens",
    "moderation": "Longtake does not moderate",
}
"""OpenAI's fields that would change the answer and are not supported, with the reason and the alternative."""


def chat_completion_request(fields: dict[str, Any]) -> ChatCompletionRequest:
    """Validate a request. OpenAI's fields that are null or empty count as absent. Raises InvalidRequest."""
    refuse_unsupported(fields, _UNSUPPORTED_FIELDS)
    known = ChatCompletionRequest.model_fields
    given = {
        name: value
        for name, value in fields.items()
        if name not in _UNSUPPORTED_FIELDS and not (name in known and value is None)
    }
    request = validated(ChatCompletionRequest, given, tags=TAGS)
    if request.stream_options and not request.stream:
        raise InvalidRequest("stream_options is given without stream; give stream: true too.", param="stream_options")
    if request.max_completion_tokens is not None:
        return request.model_copy(update={"max_tokens": request.max_completion_tokens})
    return request


def question_of(request: ChatCompletionRequest) -> Question:
    """Return the question of the last message, and the conversation's one video. Raises InvalidRequest."""
    prompt = prompt_of(request.messages)
    return Question(_video(request), prompt, request)


def _video(request: ChatCompletionRequest) -> RequestedVideo:
    video, path = video_of(request.messages), request.video_path
    sample_fps = request.sample_fps or request.media_io_kwargs.video.fps
    if video is not None and path is None:
        return at_sample_fps(video, sample_fps)
    if video is None and path is not None:
        return at_sample_fps(LocalVideo(path), sample_fps)
    raise InvalidRequest(
        f"messages contain {'no' if video is None else 'a'} video and video_path is {'not ' * (path is None)}given; "
        "give one video, as a video_url part, a file part, its frames as image_url parts, or video_path.",
        param="messages",
    )
