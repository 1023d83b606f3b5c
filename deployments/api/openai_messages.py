"""The messages of OpenAI's chat: the video that they contain, and the question about it."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from deployments.api.video_sources import RequestedVideo
from pipeline.answers.prompting import checked_prompt, follow_up
from pipeline.errors import InvalidRequest
from pipeline.sources import parse_video_url
from pipeline.types import Exchange, Prompt, StoredVideo

_IMAGE_PREFIXES = ("data:image/jpeg;base64,", "data:image/jpg;base64,", "data:image/png;base64,")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class TextPart(_Part):
    type: Literal["text"]
    text: str


class VideoUrl(_Part):
    url: str


class VideoUrlPart(_Part):
    type: Literal["video_url"]
    video_url: VideoUrl


class ImageUrl(_Part):
    url: str
    """data:image/jpeg;base64 or data:image/png;base64: a frame."""
    detail: Literal["auto"] = "auto"
    """max_pixels sets the size of frames."""


class ImageUrlPart(_Part):
    """A frame of the video. The images of one message form one video, with sample_fps of them a second."""

    type: Literal["image_url"]
    image_url: ImageUrl


class FileReference(_Part):
    file_id: str | None = None
    """An upload to /v1/files."""
    file_data: str | None = None
    """A data URL (base64) instead."""
    filename: str | None = None


class FilePart(_Part):
    type: Literal["file"]
    file: FileReference


class RefusalPart(_Part):
    type: Literal["refusal"]
    refusal: str


UserPart = Annotated[TextPart | VideoUrlPart | ImageUrlPart | FilePart, Field(discriminator="type")]
AssistantPart = Annotated[TextPart | RefusalPart, Field(discriminator="type")]


def _as_parts(content: Any) -> Any:
    """Turn a plain text into one part."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


class SystemMessage(_Part):
    role: Literal["system", "developer"]
    content: Annotated[list[TextPart], BeforeValidator(_as_parts)]
    name: str | None = None


class UserMessage(_Part):
    role: Literal["user"]
    content: Annotated[list[UserPart], BeforeValidator(_as_parts)]
    name: str | None = None


class AssistantMessage(_Part):
    """An earlier answer, with the fields that the official client sends back."""

    role: Literal["assistant"]
    content: Annotated[list[AssistantPart] | None, BeforeValidator(_as_parts)] = None
    name: str | None = None
    refusal: str | None = None
    annotations: list[None] | None = None
    audio: None = None
    function_call: None = None
    tool_calls: list[None] | None = Field(default=None, max_length=0)


TAGS = frozenset({"system", "developer", "user", "assistant", "text", "video_url", "image_url", "file", "refusal"})
"""Values of the fields that discriminate messages and their parts."""

Message = Annotated[SystemMessage | UserMessage | AssistantMessage, Field(discriminator="role")]


def prompt_of(messages: Sequence[Message]) -> Prompt:
    """Return the question of the last user message, with the conversation before it. Raises InvalidRequest."""
    system = "\n".join(_text(message) for message in messages if isinstance(message, SystemMessage))
    if system:
        checked_prompt(system, "messages")
    *earlier, (question, answer) = _turns([m for m in messages if not isinstance(m, SystemMessage)])
    if answer is not None:
        raise InvalidRequest("The last message is the assistant's; end with the user's question.", param="messages")
    for asked, _ in earlier:
        if asked:
            checked_prompt(asked, "messages")
    if earlier:
        checked_prompt(question, "messages")
    exchanges = [Exchange(asked, answered or "") for asked, answered in earlier]
    return Prompt(follow_up(question, exchanges), system or None)


def video_of(messages: Sequence[Message]) -> RequestedVideo | None:
    """Return the one video of all user messages; several may repeat it. Raises InvalidRequest for more than one."""
    videos = {
        video: None for message in messages if isinstance(message, UserMessage) for video in _message_videos(message)
    }
    if len(videos) > 1:
        raise InvalidRequest(
            f"messages contain {len(videos)} videos; give one, as a video_url part, a file part, or its frames as "
            "image_url parts of one message.",
            param="messages",
        )
    return next(iter(videos), None)


def _turns(messages: Sequence[UserMessage | AssistantMessage]) -> list[tuple[str, str | None]]:
    """Return pairs of question and answer. Consecutive messages of one side count as one."""
    turns: list[tuple[str, str | None]] = []
    for message in messages:
        text = _text(message)
        if isinstance(message, AssistantMessage):
            if not turns:
                raise InvalidRequest(
                    "The first message is the assistant's; begin with the user's, which contains the video.",
                    param="messages",
                )
            asked, answered = turns[-1]
            turns[-1] = (asked, text if answered is None else f"{answered}\n{text}")
        elif turns and turns[-1][1] is None:
            turns[-1] = ("\n".join(filter(None, (turns[-1][0], text))), None)
        else:
            turns.append((text, None))
    if not turns:
        raise InvalidRequest(
            "messages contains no user message; send one, with a video_url part and a text part.", param="messages"
        )
    return turns


def _text(message: SystemMessage | UserMessage | AssistantMessage) -> str:
    return "\n".join(part.text for part in message.content or () if isinstance(part, TextPart))


def _message_videos(message: UserMessage) -> list[RequestedVideo]:
    videos: list[RequestedVideo] = []
    images: list[str] = []
    for part in message.content:
        match part:
            case VideoUrlPart():
                videos.append(parse_video_url(part.video_url.url))
            case FilePart():
                videos.append(_file_video(part.file))
            case ImageUrlPart():
                images.append(_image(part.image_url.url))
    if images:
        videos.append(parse_video_url("data:video/jpeg;base64," + ",".join(images)))
    return videos


def _file_video(file: FileReference) -> RequestedVideo:
    match (file.file_id, file.file_data):
        case (str(file_id), None):
            return StoredVideo(file_id)
        case (None, str(url)) if url.startswith("data:"):
            return parse_video_url(url)
        case (None, str()):
            raise InvalidRequest(
                "file_data is not a data URL; send data:video/mp4;base64,… or upload the file to /v1/files.",
                param="messages",
            )
    raise InvalidRequest(
        "A file part holds file_id, an upload to /v1/files, or file_data, a data URL; give one of them.",
        param="messages",
    )


def _image(url: str) -> str:
    for prefix in _IMAGE_PREFIXES:
        if url.lower().startswith(prefix):
            return url[len(prefix) :]
    raise InvalidRequest(
        f"image_url is {url[:40]!r}; images are the frames of a video and must be data:image/jpeg;base64 or "
        "data:image/png;base64 URLs. Send a video as a video_url part.",
        param="messages",
    )
