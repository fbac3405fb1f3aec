"""Conversations as ChatML.

Template text alone becomes special tokens. Everything a user, a tool, a document or a model wrote stays text,
whatever it holds and wherever its pieces meet.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence

from internvl_llm.checkpoints.family import Dialect
from internvl_llm.errors import MessageError
from internvl_llm.messages import (
    Combined,
    Document,
    Image,
    Media,
    Message,
    Part,
    Text,
    ToolCall,
    ToolResult,
    Video,
    conversation,
    media,
)
from internvl_llm.prompt.dialects import unlike_calls
from internvl_llm.prompt.encoder import Encoded, Encoder, encode
from internvl_llm.prompt.segments import IMAGE_END, IMAGE_START, Control, Picture, Plain, Prompt, Segment

__all__ = [
    "DEFAULT_SYSTEM",
    "Control",
    "Encoded",
    "Encoder",
    "Picture",
    "Plain",
    "Prompt",
    "Segment",
    "encode",
    "render",
]

DEFAULT_SYSTEM = (
    "你是书生·万象，英文名是InternVL，"
    "是由上海人工智能实验室、清华大学及多家合作单位联合开发的多模态大语言模型。"
)
"""What OpenGVLab's fine-tuning and `model.chat` put wherever a conversation has no system message of its own
("You are Shusheng·Wanxiang, English name InternVL, ..."), so what the models are used to."""

_GROUNDING = re.compile(r"(</?(?:ref|box|quad)>)")


def render(
    messages: Iterable[Message] | Message | str,
    *,
    system: str | None = DEFAULT_SYSTEM,
    tools: Sequence[Control | Plain] = (),
    dialect: Dialect = "hermes",
    pictures: Sequence[int] | None = None,
    answer: bool = True,
) -> Prompt:
    """`system` stands where the conversation begins without a system message; None is none at all.

    `tools` follows the first system message in the way of the dialect. `pictures` says how many images each
    image, video and document became, in order of appearance; without videos and documents it is not needed.
    `answer` opens the assistant's turn.

    A turn is written the same whatever turns follow it, so a longer conversation begins with the tokens of a
    shorter one. Images are numbered through, but one that comes first and alone in its message is not.
    """
    turns = conversation(messages)
    if dialect == "none" and (
        tools or any(isinstance(p, ToolCall | ToolResult) for t in turns for p in t.parts)
    ):
        raise MessageError("this model knows no tools", remedy="Leave tools, tool calls and results out")
    counts = _counts(turns, pictures)
    writer = _Writer(dialect, iter(counts))
    return Prompt(tuple(writer.conversation(turns, _numbered(turns, counts), system, tools, answer)))


def _counts(messages: Sequence[Message], pictures: Sequence[int] | None) -> list[int]:
    """How many images each thing shown is; of videos and documents only `pictures` can tell."""
    known = [
        len(shown.images) if isinstance(shown, Combined) else int(isinstance(shown, Image))
        for shown in media(messages)
    ]
    if pictures is None and 0 in known:
        raise MessageError(
            "it is not known yet how many images the videos and documents are",
            remedy="Load them (internvl_llm.media.load) and pass on its counts",
        )
    counts = known if pictures is None else list(pictures)
    if len(known) != len(counts) or any(c < 1 or k not in (0, c) for k, c in zip(known, counts, strict=True)):
        raise MessageError(
            f"{counts} is not how many images these messages show",
            remedy="Pass on the counts that internvl_llm.media.load gave for these very messages",
        )
    return counts


def _numbered(messages: Sequence[Message], counts: Sequence[int]) -> list[bool]:
    """Whether the images of each message have numbers: unless one comes first and alone."""
    numbered, total, remaining = [], 0, iter(counts)
    for message in messages:
        for shown, count in zip(media((message,)), remaining, strict=False):
            total += 0 if isinstance(shown, Video) else count if isinstance(shown, Document) else 1
        numbered.append(total > 1)
    return numbered


class _Writer:
    """Writes one conversation, front to back, counting what it shows."""

    def __init__(self, dialect: Dialect, counts: Iterator[int]) -> None:
        self._hermes = dialect == "hermes"
        self._counts = counts
        self._guarded = False
        self._pictures = 0
        self._images = 0

    def conversation(
        self,
        messages: Sequence[Message],
        numbered: Sequence[bool],
        system: str | None,
        tools: Sequence[Control | Plain],
        answer: bool,
    ) -> Iterator[Segment]:
        self._guarded = bool(tools)
        roles = ["", *(message.role for message in messages), ""]
        if roles[1] != "system":
            yield from self._system((Text(system),) if system is not None else (), tools)
        for at, (message, numbers) in enumerate(zip(messages, numbered, strict=True)):
            if message.role == "tool":
                opens, closes = roles[at] != "tool", roles[at + 2] != "tool"
                yield from self._results(message, numbers, opens=opens, closes=closes)
            elif message.role == "system":
                yield from self._system(message.parts, tools if at == 0 else ())
            else:
                yield Control(f"<|im_start|>{message.role}\n")
                yield from self._parts(message.parts, numbers)
                yield Control("<|im_end|>\n")
        if answer:
            yield Control("<|im_start|>assistant\n")

    def _system(self, parts: Sequence[Part], tools: Sequence[Control | Plain]) -> Iterator[Segment]:
        """Hermes has its tools at the end of the system turn, InternLM in a turn of their own."""
        inside = tools if self._hermes else ()
        if parts or inside:
            yield Control("<|im_start|>system\n")
            yield from self._parts(parts, False, guarded=False)
            if parts and inside:
                yield Control("\n\n")
            yield from inside
            yield Control("<|im_end|>\n")
        if tools and not self._hermes:
            yield from (Control("<|im_start|>system name=<|plugin|>\n"), *tools, Control("<|im_end|>\n"))

    def _parts(
        self, parts: Sequence[Part], numbers: bool, *, guarded: bool | None = None
    ) -> Iterator[Segment]:
        """The parts of one message, at the beginning of a line. Where the model may call tools, text that is
        not the system's has no tags of calls."""
        guarded = self._guarded if guarded is None else guarded
        last: Part | None = None
        for part in _merged(parts):
            if isinstance(part, Text):
                if isinstance(last, ToolCall) and self._hermes:
                    yield Control("\n")
                yield from _words(Text(unlike_calls(part.text), part.grounding) if guarded else part)
            elif isinstance(part, ToolCall):
                yield from self._call(part, begins=last is None)
            elif not isinstance(part, ToolResult):
                if numbers and isinstance(last, Text) and not last.text.endswith("\n"):
                    yield Control("\n")
                yield from self._media(part, numbers)
            last = part

    def _media(self, shown: Media, numbers: bool) -> Iterator[Segment]:
        """Each image between tags, on a line of its own; the frames of a video count from 1."""
        count = next(self._counts)
        together = count if isinstance(shown, Combined) else 1
        for number in range(1, count // together + 1):
            name = f"Frame{number}: "
            if not isinstance(shown, Video):
                self._images += 1
                name = f"Image-{self._images}: " if numbers else ""
            yield Control(f"{name}{IMAGE_START}")
            for _ in range(together):
                yield Picture(self._pictures)
                self._pictures += 1
            yield Control(f"{IMAGE_END}\n")

    def _call(self, call: ToolCall, *, begins: bool) -> Iterator[Segment]:
        name, arguments = (json.dumps(value, ensure_ascii=False) for value in (call.name, call.arguments))
        if self._hermes:
            yield Control("<tool_call>\n" if begins else "\n<tool_call>\n")
            yield Plain(_unclosed(f'{{"name": {name}, "arguments": {arguments}}}', "tool_call"))
            yield Control("\n</tool_call>")
        else:
            yield Control("<|action_start|><|plugin|>\n")
            yield Plain(f'{{"name": {name}, "parameters": {arguments}}}')
            yield Control("<|action_end|>")

    def _results(self, message: Message, numbers: bool, *, opens: bool, closes: bool) -> Iterator[Segment]:
        """Hermes has results that follow each other in one turn of the user's, InternLM in a turn each."""
        for result in message.parts:
            assert isinstance(result, ToolResult)
            parts = _merged(result.parts)
            if result.is_error and not _says_error(parts):
                parts = (Text("Error: "), *parts)
            if self._hermes:
                yield Control("<|im_start|>user\n<tool_response>\n" if opens else "\n<tool_response>\n")
                yield from self._parts([_unclosing(part, "tool_response") for part in parts], numbers)
                yield Control("\n</tool_response>")
                opens = False
            else:
                yield Control("<|im_start|>environment name=<|plugin|>\n")
                yield from self._parts(parts, numbers)
                yield Control("<|im_end|>\n")
        if self._hermes and closes:
            yield Control("<|im_end|>\n")


def _words(text: Text) -> Iterator[Segment]:
    if not text.grounding:
        yield Plain(text.text)
        return
    for at, piece in enumerate(_GROUNDING.split(text.text)):
        yield Control(piece) if at % 2 else Plain(piece)


def _merged(parts: Sequence[Part]) -> tuple[Part, ...]:
    """Texts that follow each other as one, empty ones left out."""
    merged: list[Part] = []
    for part in parts:
        last = merged[-1] if merged else None
        if isinstance(part, Text) and isinstance(last, Text) and part.grounding == last.grounding:
            merged[-1] = Text(last.text + part.text, part.grounding)
        elif part != Text(""):
            merged.append(part)
    return tuple(merged)


def _says_error(parts: Sequence[Part]) -> bool:
    return bool(parts) and isinstance(parts[0], Text) and parts[0].text.lower().startswith("error")


def _unclosed(text: str, tag: str) -> str:
    """Where a closing tag is no special token, text must not pass for one. In JSON this changes nothing."""
    return re.sub(rf"</(?=\s*{tag})", r"<\\/", text, flags=re.IGNORECASE)


def _unclosing(part: Part, tag: str) -> Part:
    return Text(_unclosed(part.text, tag), part.grounding) if isinstance(part, Text) else part
