"""Framework-neutral conversations: who said what, with images, videos, documents and tool calls."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from internvl_llm.errors import MessageError

if TYPE_CHECKING:
    import PIL.Image

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A file that content names, wherever that came from: it is read below a folder of
    `MediaOptions.media_root` or not at all. `holder` is what held the name."""

    name: str
    holder: str = field(default="content", compare=False)


Source: TypeAlias = Path | str | bytes | MediaFile
"""Of a string: a path, a `data:` URL or an http(s) URL. Bare base64 goes through `decode_base64`.

Strings and paths are the application's own. What comes as data goes through `media.source.referenced`.
"""


class Drawable(Protocol):
    """An image that is measured, and drawn when it is needed: what `internvl_llm.media.load.load` gives."""

    @property
    def size(self) -> tuple[int, int]: ...

    def draw(self) -> PIL.Image.Image: ...


@dataclass(frozen=True, slots=True)
class Text:
    """Nothing in it is ever read as a special token, but InternVL's grounding tags where `grounding` says so:
    `<ref>`, `<box>`, `<quad>` and their closing ones then are what the model was trained on."""

    text: str
    grounding: bool = False


MAX_TILES = 128
"""Of one image: with 256 tokens each they fill the longest context of the family."""


def is_tile_count(tiles: object) -> bool:
    """Whether it may bound the tiles of an image."""
    return is_integer(tiles, 1, MAX_TILES)


@dataclass(frozen=True, slots=True)
class Image:
    """`min_tiles` and `max_tiles` bound the 448 px tiles it is cut into; None leaves it to the engine."""

    source: Source | PIL.Image.Image | Drawable = field(repr=False)
    min_tiles: int | None = None
    max_tiles: int | None = None

    def __post_init__(self) -> None:
        low, high = self.min_tiles, self.max_tiles
        known = [tiles for tiles in (low, high) if tiles is not None]
        if not all(map(is_tile_count, known)) or known != sorted(known):
            raise MessageError(
                f"an image cannot have {brief(low)} to {brief(high)} tiles",
                remedy=f"Give 1 <= min_tiles <= max_tiles <= {MAX_TILES}",
            )


@dataclass(frozen=True, slots=True)
class Combined:
    """Several images shown as one: their tiles follow each other between one pair of image tags."""

    images: tuple[Image, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "images", tuple(self.images))
        if not self.images or not all(isinstance(image, Image) for image in self.images):
            raise MessageError("Combined holds images, one at least", remedy="Give Image parts")


@dataclass(frozen=True, slots=True)
class Video:
    """`frames` evenly spaced from `start` to `end` (seconds); None is the default, the beginning, the end."""

    source: Source = field(repr=False)
    frames: int | None = None
    start: float | None = None
    end: float | None = None

    def __post_init__(self) -> None:
        if self.frames is not None and not is_integer(self.frames, 1, _MOST_FRAMES):
            raise MessageError(
                f"a video cannot have {brief(self.frames)} frames", remedy=f"Ask for 1 to {_MOST_FRAMES:,}"
            )
        known = [when for when in (self.start, self.end) if when is not None]
        sound = all(is_number(when) and 0 <= when <= _MOST_SECONDS for when in known)
        if not sound or (self.start or 0) >= (_MOST_SECONDS if self.end is None else self.end):
            raise MessageError(
                f"a video cannot be shown from {brief(self.start)} to {brief(self.end)} s",
                remedy="Give seconds, 0 <= start < end",
            )


@dataclass(frozen=True, slots=True)
class Document:
    """A PDF (or an image file of several frames) whose `pages`, such as `2-5,9`, are shown as images."""

    source: Source = field(repr=False)
    pages: str | None = None

    def __post_init__(self) -> None:
        if self.pages is not None and not (isinstance(self.pages, str) and len(self.pages) <= _LONGEST_PAGES):
            raise MessageError(
                f"pages cannot be {brief(self.pages)}", remedy="Write pages like 2-5,9 or 3-, as a string"
            )


@dataclass(frozen=True, slots=True)
class ToolCall:
    """`arguments` are a copy that JSON can express."""

    id: str
    name: str
    arguments: Mapping[str, Any]

    def __post_init__(self) -> None:
        if not self.name:
            raise MessageError("a tool call has no name", remedy="Name the tool that was called")
        try:
            if not isinstance(self.arguments, Mapping):
                raise TypeError(f"{type(self.arguments).__name__} is no mapping")
            copy = json.loads(json.dumps(dict(self.arguments), allow_nan=False))
        except (TypeError, ValueError, RecursionError) as error:
            raise MessageError(
                f"the arguments of the call of {self.name} are not JSON ({error})",
                remedy="Give a mapping of strings, numbers, lists and mappings",
            ) from error
        object.__setattr__(self, "arguments", copy)


@dataclass(frozen=True, slots=True)
class ToolResult:
    call_id: str
    name: str
    parts: tuple[Text | Image | Document, ...]
    is_error: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", _parts(self.parts, (Text, Image, Document), "a tool result"))


Media: TypeAlias = Image | Combined | Video | Document
Part: TypeAlias = Text | Image | Combined | Video | Document | ToolCall | ToolResult

_HOLDS: dict[str, tuple[type, ...]] = {
    "system": (Text,),
    "user": (Text, Image, Combined, Video, Document),
    "assistant": (Text, Image, ToolCall),
    "tool": (ToolResult,),
}


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. A bare string is one `Text`; only an assistant may have nothing to say."""

    role: Role
    parts: tuple[Part, ...]

    def __init__(self, role: Role, parts: str | Part | Iterable[str | Part]) -> None:
        if role not in _HOLDS:
            raise MessageError(f"unknown role {role!r}", remedy=f"Use one of {', '.join(_HOLDS)}")
        checked = _parts(parts, _HOLDS[role], f"a message of role {role}")
        if role != "assistant" and all(isinstance(part, Text) and not part.text for part in checked):
            raise MessageError(f"the message of role {role} is empty", remedy="Leave it out or say something")
        object.__setattr__(self, "role", role)
        object.__setattr__(self, "parts", checked)

    @classmethod
    def system(cls, *parts: str | Text) -> Message:
        return cls("system", parts)

    @classmethod
    def user(cls, *parts: str | Part) -> Message:
        return cls("user", parts)

    @classmethod
    def assistant(cls, *parts: str | Part) -> Message:
        return cls("assistant", parts)

    @classmethod
    def tool(cls, *parts: ToolResult) -> Message:
        return cls("tool", parts)

    @property
    def text(self) -> str:
        """What it says in words, tool results aside."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))


def conversation(messages: Message | str | Iterable[Message]) -> tuple[Message, ...]:
    """What a model can answer: one message at least. A bare string is a user's.

    Tool results stand in the order of their calls: prompts name no ids, and calls that ran at the same time
    end in any order.
    """
    if isinstance(messages, str):
        messages = Message.user(messages)
    turns = (messages,) if isinstance(messages, Message) else tuple(messages)
    for message in turns:
        if not isinstance(message, Message):
            raise MessageError(
                f"a conversation cannot hold {type(message).__name__}", remedy="Give Message values"
            )
    if not turns:
        raise MessageError("the conversation is empty", remedy="Give one message at least")
    return tuple(_in_order(turns))


def _in_order(messages: Sequence[Message]) -> Iterator[Message]:
    calls: list[str] = []
    for role, turns in groupby(messages, lambda message: message.role):
        if role != "tool":
            for turn in turns:
                calls = [part.id for part in turn.parts if isinstance(part, ToolCall)]
                yield turn
            continue
        run = list(turns)
        places = {call: place for place, call in reversed(list(enumerate(calls)))}
        found = [part for turn in run for part in turn.parts if isinstance(part, ToolResult)]
        ordered = iter(sorted(found, key=lambda result: places.get(result.call_id, len(calls))))
        yield from (Message.tool(*islice(ordered, len(turn.parts))) for turn in run)


def media(messages: Sequence[Message]) -> Iterator[Media]:
    """Everything to be looked at, in order of appearance, tool results included."""
    for message in messages:
        for part in message.parts:
            if isinstance(part, ToolResult):
                yield from (inner for inner in part.parts if isinstance(inner, Image | Document))
            elif isinstance(part, Image | Combined | Video | Document):
                yield part


def decode_base64(text: str) -> bytes:
    """Standard or URL-safe, line breaks allowed, nothing else. Raises MessageError."""
    dense = "".join(text.split()).translate(_STANDARD)
    try:
        return base64.b64decode(dense + "=" * (-len(dense) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise MessageError(f"not base64 ({error})", remedy="Encode the bytes again") from error


_STANDARD = str.maketrans("-_", "+/")
_MOST_FRAMES = 100_000
_MOST_SECONDS = 1e9
_LONGEST_PAGES = 10_000


def is_integer(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def brief(value: object) -> str:
    """Of any type and length: it came with somebody's message."""
    if isinstance(value, int) and value.bit_length() > 256:
        return "a huge number"
    told = repr(value[:100] if isinstance(value, str | bytes | list | tuple) else value)
    return told if len(told) <= 100 else f"{told[:100]}…"


def _parts(parts: Any, kinds: tuple[type, ...], holder: str) -> tuple[Any, ...]:
    """As parts of those kinds, strings as texts. Raises MessageError."""
    single = isinstance(parts, str | Text | Image | Combined | Video | Document | ToolCall | ToolResult)
    several = (parts,) if single else parts
    checked = tuple(Text(part) if isinstance(part, str) else part for part in several)
    for part in checked:
        if not isinstance(part, kinds):
            raise MessageError(
                f"{holder} cannot hold {type(part).__name__}",
                remedy=f"It holds {', '.join(kind.__name__ for kind in kinds)}",
            )
    return checked
