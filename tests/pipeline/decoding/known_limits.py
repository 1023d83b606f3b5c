"""Test videos that a backend refuses, or decodes into other frames."""

from __future__ import annotations

from tests.clips import WITHOUT_INDEX

REFUSED = {
    "planned": dict.fromkeys(WITHOUT_INDEX, "packets allow no plan"),
    # torchcodec seeks by key frames that FFmpeg misplaces here. It must be found out, never believed.
    "torchcodec": dict.fromkeys(["ts", "late_ts", "mpeg2", "mpeg4_b"], "counts the video's frames in another way"),
    "pyav": {},
    "opencv": {"av1": "cannot open the video", "mpeg4_b": "counts the video's time in another way"},
    "decord": {
        **dict.fromkeys(["ts", "late_ts", "mpeg2", "mpeg4", "mpeg4_b", "mjpeg"], "reads only MP4 and Matroska here"),
        "av1": "cannot open the video",
        "edit_list": "counts the video's frames in another way",
    },
}
"""The clips that a backend is no match for: it has to say so, and bring nothing."""
WRONG_FRAMES = {
    ("decord", "open_gop"): "decord returns other frames around an open GOP",
    ("opencv", "mpeg2"): "opencv returns too few frames of an MPEG program stream",
}
WRONG_COLOURS = {("opencv", "ten_bit"): "opencv converts 10-bit pictures to other colours"}
"""Where a backend is wrong without saying so, and how. Both backends are opt-in."""
OTHER_COLOURS = {"ten_bit", "mjpeg"}
"""Where PyAV's FFmpeg makes other colours of some pixels than torchcodec's, which are fetch_video's."""
