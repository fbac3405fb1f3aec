"""Where the media of messages come from: files, bytes, data: URLs and http(s) URLs. Nothing is decoded."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote_to_bytes

from internvl_llm.errors import MediaError, MessageError, limit_error
from internvl_llm.media.limits import Limits, MediaOptions
from internvl_llm.messages import decode_base64


def content_of(source: object, what: str, options: MediaOptions) -> tuple[Path | bytes, str]:
    """Where it is (a path that is absolute) or what it is, and the name that errors call it."""
    if isinstance(source, bytes):
        return source, f"the {what}"
    if isinstance(source, Path):
        return _absolute(source), str(source)
    if not isinstance(source, str):
        raise MediaError(
            f"the {what} is given as {type(source).__name__}",
            remedy="Give a path, bytes, a data: URL or an http(s) URL",
        )
    scheme = source[:64].partition(":")[0].lower()
    if scheme == "data":
        return data_url(source, f"the {what}"), f"the {what}"
    name = source if len(source) <= 200 else f"{source[:200]}…"
    if "://" not in source[:64]:
        return _absolute(Path(source)), name
    if scheme not in ("http", "https"):
        raise MediaError(
            f"{scheme}:// is no place the {what} may come from",
            source=name,
            remedy="Give a path, bytes, a data: URL or an http(s) URL",
        )
    from internvl_llm.media.fetch import fetch

    return fetch(source, options.limits or Limits(), options.allow_hosts), name


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
