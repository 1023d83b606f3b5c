"""The video of a request, parsed once into the type that every later step uses."""

from dataclasses import dataclass
from typing import BinaryIO

from pipeline.errors import InvalidRequest
from pipeline.sources import DataUrl, parse_video_url
from pipeline.types import HttpVideo, LocalVideo, S3Video, StoredVideo, VideoSource
from pipeline.video.frame_lists import DEFAULT_SAMPLE_FPS


@dataclass(frozen=True)
class FormFile:
    """A file part of a form."""

    content: BinaryIO
    name: str
    """The client's name for it."""


@dataclass(frozen=True)
class FrameList:
    """Images inside the request, `sample_fps` of them a second."""

    url: DataUrl
    sample_fps: float


AttachedVideo = FormFile | DataUrl | FrameList
"""A video inside the request itself; it is stored before it is analysed."""
RequestedVideo = VideoSource | AttachedVideo


def requested_video(
    *,
    url: str | None = None,
    path: str | None = None,
    file_id: str | None = None,
    upload: FormFile | None = None,
    sample_fps: float | None = None,
) -> RequestedVideo:
    """Return the one video that a request names. `sample_fps` applies only to lists of images.

    Raises InvalidRequest for a malformed URL, and unless exactly one video is given.
    """
    match (url, path, file_id, upload):
        case (str(text), None, None, None):
            return at_sample_fps(parse_video_url(text), sample_fps)
        case (None, str(name), None, None):
            return at_sample_fps(LocalVideo(name), sample_fps)
        case (None, None, str(stored), None):
            return at_sample_fps(StoredVideo(stored), sample_fps)
        case (None, None, None, FormFile() as file):
            return at_sample_fps(file, sample_fps)
        case (None, None, None, None):
            raise InvalidRequest(
                "No video is given; give one of video_url, video_path and file_id, or upload a file.",
                param="video_url",
            )
        case _:
            raise InvalidRequest(
                "More than one video is given; give one of video_url, video_path, file_id and an uploaded file.",
                param="video_url",
            )


def at_sample_fps(video: RequestedVideo, sample_fps: float | None) -> RequestedVideo:
    """Give a list of images its rate; return other videos unchanged. Raises InvalidRequest if they come with a rate."""
    if isinstance(video, DataUrl) and video.is_frame_list:
        return FrameList(video, sample_fps or DEFAULT_SAMPLE_FPS)
    if sample_fps is not None:
        raise InvalidRequest(
            "sample_fps, or vLLM's media_io_kwargs.video.fps, is the rate at which the images of a "
            "data:video/jpeg;base64 list were taken, and this video is not such a list; leave it out. fps and nframes "
            "say how many frames are sampled.",
            param="sample_fps",
        )
    return video


def public_name(video: RequestedVideo) -> str:
    """The name of a video in responses. A URL's query is left out: it often contains a signature."""
    match video:
        case FormFile(name=name):
            return name
        case FrameList():
            return "a list of images"
        case DataUrl():
            return "a data: URL"
        case LocalVideo(path):
            return path
        case StoredVideo(file_id):
            return file_id
        case HttpVideo(url):
            return url.public_name
        case S3Video():
            return video.public_name
