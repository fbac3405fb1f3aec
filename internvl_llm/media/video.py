"""Frames of videos, evenly spaced as in OpenGVLab's model cards. Needs PyAV."""

from __future__ import annotations

import io
import time
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from internvl_llm.errors import MediaError, MissingDependencyError

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

    from internvl_llm.media.limits import Limits

_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,ogg,flv,asf,gif"
"""Of FFmpeg's demuxers those that read one file, not what it points to, as playlists do."""


def indices(frames: int, fps: float, count: int, start: float | None, end: float | None) -> list[int]:
    """The model cards' `get_index`: `count` numbers of `frames`, in the middle of as many equal segments.

    `start` and `end` are seconds. Fewer where there are fewer frames; none where `start` is past the end.
    """
    last = frames - 1
    first = max(0, round((start or 0.0) * fps))
    last = last if end is None else min(last, round(end * fps))
    if first > last:
        return []
    count = min(count, last - first + 1)
    segment = (last - first) / count
    return sorted({min(last, int(first + segment / 2 + round(segment * at))) for at in range(count)})


def frames(
    content: Path | bytes,
    name: str,
    count: int,
    start: float | None,
    end: float | None,
    limits: Limits,
    max_seconds: float,
) -> list[PILImage]:
    """Each already the 448 x 448 tile that the model sees: bicubic, whatever the shape of the video.

    Raises MediaError, LimitError, or MissingDependencyError without PyAV.
    """
    with _opened(content, name) as (container, stream):
        reading = _Reading(container, stream, name, limits)
        reading.survey(max_seconds)
        chosen = indices(len(reading.times), reading.fps, count, start, end)
        if not chosen:
            seconds = len(reading.times) / reading.fps
            raise MediaError(
                f"the video ends at {seconds:.1f} s, and was to be shown from {start or 0:g} s on",
                source=name,
                remedy="Ask for a time within it",
            )
        return list(reading.pictures(chosen))


@contextmanager
def _opened(content: Path | bytes, name: str) -> Iterator[tuple[Any, Any]]:
    try:
        import av
    except ImportError as error:
        raise MissingDependencyError(
            "reading videos needs PyAV", remedy="Run: pip install 'internvl-documents[video]'"
        ) from error
    try:
        with (
            io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as file,
            av.open(file, options={"format_whitelist": _CONTAINERS}, metadata_errors="replace") as container,
        ):
            if not container.streams.video:
                raise MediaError("there is no video in it", source=name, remedy="Give a video file")
            yield container, container.streams.video[0]
    except (av.FFmpegError, OSError, ValueError) as error:
        if isinstance(error, MediaError):
            raise
        raise MediaError(
            f"the video is damaged or of an unknown type ({str(error)[:120]})",
            source=name,
            remedy="Convert it to MP4 (H.264)",
        ) from error


class _Reading:
    """One open video, first surveyed without decoding, then decoded where a frame is wanted."""

    def __init__(self, container: Any, stream: Any, name: str, limits: Limits) -> None:
        self._container = container
        self._stream = stream
        self._name = name
        self._limits = limits
        self._deadline = time.monotonic() + limits.max_seconds
        self.times: list[int] = []
        """When each frame is shown, in units of the stream, ascending."""
        self._keys: list[int] = []
        self.fps = float(stream.average_rate or stream.guessed_rate or 0)

    def survey(self, max_seconds: float) -> None:
        self._check_pixels(self._stream.codec_context)
        self._stream.codec_context.options = {"max_pixels": str(self._limits.max_image_pixels)}
        unit = float(self._stream.time_base)
        for packet in self._container.demux(self._stream):
            self._check_time()
            if not packet.size:
                continue
            when = packet.dts if packet.pts is None else packet.pts
            if when is None:
                raise MediaError(
                    "the video does not say when its frames are shown",
                    source=self._name,
                    remedy="Convert it to MP4 (H.264)",
                )
            self.times.append(when)
            if packet.is_keyframe:
                self._keys.append(when)
            if (when - self.times[0]) * unit > max_seconds:
                raise MediaError(
                    f"the video is longer than max_video_seconds = {max_seconds:g}",
                    source=self._name,
                    remedy="Cut it, or raise max_video_seconds",
                )
        self.times.sort()
        self._keys.sort()
        if not self.fps and len(self.times) > 1:
            self.fps = (len(self.times) - 1) / max((self.times[-1] - self.times[0]) * unit, 1e-6)
        self.fps = self.fps or 1.0

    def pictures(self, chosen: list[int]) -> Iterator[PILImage]:
        """The frames of those numbers, ascending."""
        wanted = [self.times[index] for index in chosen]
        at = 0
        while at < len(wanted):
            self._container.seek(wanted[at], stream=self._stream, backward=True, any_frame=False)
            sought = at
            for frame in self._container.decode(self._stream):
                self._check_time()
                when = frame.dts if frame.pts is None else frame.pts
                if when is None or when < wanted[at]:
                    continue
                yield self._picture(frame)
                at += 1
                if at == len(wanted) or self._key_before(wanted[at]) > self._key_before(when):
                    break
            if at == sought:
                raise MediaError(
                    f"frame {chosen[at]} of the video cannot be decoded",
                    source=self._name,
                    remedy="Convert it",
                )

    def _key_before(self, when: int) -> int:
        return bisect_right(self._keys, when)

    def _picture(self, frame: Any) -> PILImage:
        from PIL.Image import Resampling

        from internvl_llm.prompt.tiling import TILE

        self._check_pixels(frame)
        image: PILImage = frame.to_image()
        if frame.rotation:
            image = image.rotate(frame.rotation, expand=True)
        return image.resize((TILE, TILE), Resampling.BICUBIC)

    def _check_pixels(self, sized: Any) -> None:
        if sized.width * sized.height > self._limits.max_image_pixels:
            from internvl_llm.errors import limit_error

            problem = f"the video has frames of {sized.width} x {sized.height} pixels, more than"
            raise limit_error(problem, "max_image_pixels", self._limits.max_image_pixels, self._name)

    def _check_time(self) -> None:
        if time.monotonic() > self._deadline:
            from internvl_llm.errors import limit_error

            raise limit_error("took longer than", "max_seconds", self._limits.max_seconds, self._name)
