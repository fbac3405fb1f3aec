"""Where the media of messages come from: files, bytes, data: URLs and http(s) URLs. Nothing is decoded.

What comes as data (a content block, a message in JSON) never names a file of this machine, but below the
folders that the application allows: `MediaOptions.media_root`. That rule is `referenced`, `check_files` and
`content_of`, and nowhere else.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from internvl_llm.errors import MediaError, MessageError, SourceError, limit_error
from internvl_llm.media.below import opened, read
from internvl_llm.media.limits import Limits, MediaOptions
from internvl_llm.messages import Combined, MediaFile, Message, decode_base64
from internvl_llm.messages import media as media_of

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

_WEB = re.compile(r"https?://", re.IGNORECASE | re.ASCII)
_DATA = re.compile(r"data:", re.IGNORECASE | re.ASCII)
_SCHEME = re.compile(r"[\s\x00-\x20]*[a-z][a-z0-9+.-]+:", re.IGNORECASE)
"""Of two letters at least: one is a drive."""
_NO_NAME = re.compile(r"\A\s|\s\Z|[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_LONGEST_NAME = 4096
_GIVE = (
    "Give a data: or http(s) URL, or the content itself as bytes or base64; files are read below folders "
    "that the application allows (media_root)"
)


def referenced(value: Any, holder: str) -> str | MediaFile:
    """What a value of `holder`, which came as data, points to: a URL, or perhaps a file.

    Raises MessageError where it can be neither.
    """
    if isinstance(value, str) and (_DATA.match(value) or _WEB.match(value)):
        return value
    if isinstance(value, Path):
        value = os.path.abspath(value)
    if (
        isinstance(value, str)
        and 0 < len(value) <= _LONGEST_NAME
        and not _SCHEME.match(value)
        and not _NO_NAME.search(value)
    ):
        return MediaFile(value, holder)
    raise _refused(value, holder)


def check_files(messages: Iterable[Message], options: MediaOptions) -> None:
    """Raises MessageError where content names a file, and the application allows no folder."""
    if options.media_root:
        return
    for part in media_of(tuple(messages)):
        for shown in part.images if isinstance(part, Combined) else (part,):
            if isinstance(shown.source, MediaFile):
                raise _refused(shown.source.name, shown.source.holder)


def content_of(source: object, what: str, options: MediaOptions) -> tuple[Path | bytes, str]:
    """Where it is (a path that is absolute) or what it is, and the name that errors call it."""
    if isinstance(source, bytes):
        return source, f"the {what}"
    if isinstance(source, MediaFile):
        return _below(source, options), source.name[:200]
    if isinstance(source, Path):
        return _absolute(source), str(source)
    if not isinstance(source, str):
        raise MediaError(
            f"the {what} is given as {type(source).__name__}",
            remedy="Give a path, bytes, a data: URL or an http(s) URL",
        )
    if _DATA.match(source):
        return data_url(source, f"the {what}"), f"the {what}"
    name = source if len(source) <= 200 else f"{source[:200]}…"
    if _WEB.match(source):
        from internvl_llm.media.fetch import fetch

        return fetch(source, options.limits or Limits(), options.allow_hosts), name
    if (scheme := _SCHEME.match(source)) or "://" in source[:64]:
        raise MediaError(
            f"{scheme[0].strip() if scheme else source[:64]} is no place the {what} may come from",
            source=name,
            remedy="Give bytes, a data: URL, an http(s):// URL, or a Path for a file of that name",
        )
    return _absolute(Path(source)), name


def undecoded(image: PILImage, limits: Limits) -> bytes | None:
    """The file of an image that was opened and not decoded, so that a worker decodes it; None where it has
    its pixels. Raises MediaError where a worker would read another image of it, or none."""
    from PIL.ImageFile import ImageFile

    from internvl_llm.media.declared import tiff_frames
    from internvl_llm.media.image import FORMATS

    if not isinstance(image, ImageFile) or (getattr(image, "_im", None) is not None and not image.tile):
        return None
    data = _file_of(image, limits.max_bytes) if image.format in FORMATS and image.tell() == 0 else b""
    if not data or (image.format == "TIFF" and tiff_frames(data, 1) > 1):
        raise MediaError(
            f"an image that is not decoded yet ({image.format}) is no file of a single image",
            source="the image",
            remedy=f"Give the file itself ({', '.join(FORMATS)}), or call load() on it if you trust it",
        )
    if len(data) > limits.max_bytes:
        raise limit_error("it has more bytes than", "max_bytes", limits.max_bytes, "the image")
    return data


def _file_of(image: Any, max_bytes: int) -> bytes:
    """Its first bytes, one more than `max_bytes` at most; none where the file is closed."""
    file = image.fp
    try:
        place = file.tell()
        file.seek(0)
        data = bytes(file.read(max_bytes + 1))
        file.seek(place)
    except (AttributeError, OSError, ValueError):
        return b""
    return data


def _below(file: MediaFile, options: MediaOptions) -> bytes:
    if not options.media_root:
        raise _refused(file.name, file.holder)
    # A name may spell a folder as the application did, or as the system does.
    roots = dict.fromkeys((*options.media_root, *(folder.resolve() for folder in options.media_root)))
    limits = options.limits or Limits()
    try:
        with opened(roots, file.name, "Name a file below media_root") as descriptor:
            return read(descriptor, limits.max_bytes)
    except SourceError as error:
        error.source = error.source or file.name[:200]
        raise


def _refused(value: object, holder: str) -> MessageError:
    return MessageError(f"the url of the {holder} is {_shown(value)}", remedy=_GIVE)


def _shown(value: object) -> str:
    return repr(value[:100] if isinstance(value, str | bytes) else value)[:200]


def data_url(url: str, name: str) -> bytes:
    """RFC 2397."""
    head, comma, data = url.partition(",")
    if not comma:
        raise MediaError("the data: URL has no comma", source=name, remedy="Write data:<type>;base64,<data>")
    data = unquote_to_bytes(data).decode("latin-1")
    if not head.lower().endswith(";base64"):
        return data.encode("latin-1")
    try:
        return decode_base64(data)
    except MessageError as error:
        raise MediaError(f"the data: URL is {error.message}", source=name, remedy=error.remedy) from error


def check_size(content: Path | bytes, name: str, limits: Limits) -> None:
    """Raises MediaError where there is nothing to read, LimitError where there is too much."""
    try:
        size = len(content) if isinstance(content, bytes) else content.stat().st_size
    except (OSError, ValueError) as error:
        raise MediaError(
            f"the file cannot be read ({getattr(error, 'strerror', None) or error})",
            source=name,
            remedy="Check the path; base64 goes into a data: URL, or through decode_base64",
        ) from error
    if isinstance(content, Path) and not content.is_file():
        raise MediaError("this is no file", source=name, remedy="Give a file")
    if not size:
        raise MediaError("there is nothing in it (0 bytes)", source=name, remedy="Fetch or save it again")
    if size > limits.max_bytes:
        raise limit_error(f"it has {size:,} bytes, more than", "max_bytes", limits.max_bytes, name)


def _absolute(path: Path) -> Path:
    """A worker may have begun in another folder."""
    return Path(os.path.abspath(path))
