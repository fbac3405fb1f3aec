"""Frames of videos, evenly spaced as in OpenGVLab's model cards. Needs PyAV."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from internvl_llm.errors import MediaError, MissingDependencyError, limit_error

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

    from internvl_llm.media.limits import Limits

_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,ogg,flv,asf,gif"
"""Of FFmpeg's demuxers those that read one file, not what it points to, as playlists do."""


def no_pyav() -> MissingDependencyError:
    return MissingDependencyError(
        "reading videos needs PyAV", remedy="Run: pip install 'internvl-documents[video]'"
    )


def _pyav() -> Any:
    try:
        import av
    except ImportError as error:
        raise no_pyav() from error
    return av


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


class VideoReader:
    """One video, surveyed without decoding when it is opened, then decoded where frames are wanted.

    Raises MediaError, LimitError, or MissingDependencyError without PyAV. Not thread-safe.
    """

    def __init__(self, content: Path | bytes, *, name: str, limits: Limits, max_seconds: float) -> None:
        self._name = name
        self._max_pixels = limits.max_image_pixels
        self._times: list[int] = []
        """When each frame is shown, in units of the stream, ascending."""
        self._keys: list[int] = []
        self._files = ExitStack()
        with self._understood():
            self._open(content)
            self.fps = float(self._stream.average_rate or self._stream.guessed_rate or 0)
            self._survey(max_seconds)

    def __len__(self) -> int:
        return len(self._times)

    def choose(self, count: int, start: float | None, end: float | None) -> list[int]:
        """The numbers of `count` frames, evenly spaced from `start` to `end` (seconds); one at least."""
        chosen = indices(len(self), self.fps, count, start, end)
        if not chosen:
            seconds = len(self) / self.fps
            raise MediaError(
                f"the video ends at {seconds:.1f} s, and was to be shown from {start or 0:g} s on",
                source=self._name,
                remedy="Ask for a time within it",
            )
        return chosen

    def tiles(self, numbers: list[int]) -> list[PILImage]:
        """The frames of those numbers, ascending, decoded in one pass; each is already the 448 x 448 tile
        that the model sees: bicubic, whatever the shape of the video."""
        with self._understood():
            return list(self._tiles(numbers))

    def close(self) -> None:
        self._files.close()

    def _open(self, content: Path | bytes) -> None:
        file = io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")
        self._files.enter_context(file)
        whitelist = {"format_whitelist": _CONTAINERS}
        self._container: Any = _pyav().open(file, options=whitelist, metadata_errors="replace")
        self._files.enter_context(self._container)
        if not self._container.streams.video:
            raise MediaError("there is no video in it", source=self._name, remedy="Give a video file")
        self._stream = self._container.streams.video[0]

    @contextmanager
    def _understood(self) -> Iterator[None]:
        av = _pyav()
        try:
            yield
        except MediaError:
            raise
        except (av.FFmpegError, OSError, ValueError) as error:
            raise MediaError(
                f"the video is damaged or of an unknown type ({str(error)[:120]})",
                source=self._name,
                remedy="Convert it to MP4 (H.264)",
            ) from error

    def _survey(self, max_seconds: float) -> None:
        self._permit(self._stream.codec_context)
        self._stream.codec_context.options = {"max_pixels": str(self._max_pixels)}
        unit = float(self._stream.time_base)
        for packet in self._container.demux(self._stream):
            if not packet.size:
                continue
            when = packet.dts if packet.pts is None else packet.pts
            if when is None:
                raise MediaError(
                    "the video does not say when its frames are shown",
                    source=self._name,
                    remedy="Convert it to MP4 (H.264)",
                )
            self._times.append(when)
            if packet.is_keyframe:
                self._keys.append(when)
            if (when - self._times[0]) * unit > max_seconds:
                raise MediaError(
                    f"the video is longer than max_video_seconds = {max_seconds:g}",
                    source=self._name,
                    remedy="Cut it, or raise max_video_seconds",
                )
        self._times.sort()
        self._keys.sort()
        if not self.fps and len(self) > 1:
            self.fps = (len(self) - 1) / max((self._times[-1] - self._times[0]) * unit, 1e-6)
        self.fps = self.fps or 1.0

    def _tiles(self, numbers: list[int]) -> Iterator[PILImage]:
        wanted = [self._times[number] for number in numbers]
        at = 0
        while at < len(wanted):
            self._container.seek(wanted[at], stream=self._stream, backward=True, any_frame=False)
            sought = at
            for frame in self._container.decode(self._stream):
                when = frame.dts if frame.pts is None else frame.pts
                if when is None or when < wanted[at]:
                    continue
                yield self._tile(frame)
                at += 1
                if at == len(wanted) or self._key_before(wanted[at]) > self._key_before(when):
                    break
            if at == sought:
                raise MediaError(
                    f"frame {numbers[at]} of the video cannot be decoded",
                    source=self._name,
                    remedy="Convert it",
                )

    def _key_before(self, when: int) -> int:
        return bisect_right(self._keys, when)

    def _tile(self, frame: Any) -> PILImage:
        from PIL.Image import Resampling

        from internvl_llm.prompt.tiling import TILE

        self._permit(frame)
        image: PILImage = frame.to_image()
        if frame.rotation:
            image = image.rotate(frame.rotation, expand=True)
        return image.resize((TILE, TILE), Resampling.BICUBIC)

    def _permit(self, sized: Any) -> None:
        if sized.width * sized.height > self._max_pixels:
            problem = f"the video has frames of {sized.width} x {sized.height} pixels, more than"
            raise limit_error(problem, "max_image_pixels", self._max_pixels, self._name)
