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

Source: TypeAlias = Path | str | bytes
"""Of a string: a path, a `data:` URL or an http(s) URL. Bare base64 goes through `decode_base64`."""


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


@dataclass(frozen=True, slots=True)
class Image:
    """`min_tiles` and `max_tiles` bound the 448 px tiles it is cut into; None leaves it to the engine."""

    source: Source | PIL.Image.Image | Drawable = field(repr=False)
    min_tiles: int | None = None
    max_tiles: int | None = None

    def __post_init__(self) -> None:
        low, high = self.min_tiles, self.max_tiles
        if any(tiles is not None and tiles < 1 for tiles in (low, high)) or (low or 1) > (high or low or 1):
            raise MessageError(
                f"an image cannot have {low} to {high} tiles", remedy="Give 1 <= min_tiles <= max_tiles"
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
        if self.frames is not None and self.frames < 1:
            raise MessageError(f"a video cannot have {self.frames} frames", remedy="Ask for one at least")
        start = self.start or 0.0
        if not 0 <= start < (float("inf") if self.end is None else self.end):
            raise MessageError(
                f"a video cannot be shown from {self.start} to {self.end} s", remedy="Give 0 <= start < end"
            )


@dataclass(frozen=True, slots=True)
class Document:
    """A PDF (or an image file of several frames) whose `pages`, such as `2-5,9`, are shown as images."""

    source: Source = field(repr=False)
    pages: str | None = None


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
