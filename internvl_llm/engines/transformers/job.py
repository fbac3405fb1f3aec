"""One sequence on its way through the engine: its prompt, what it has said, and who listens."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from internvl_llm.engines.transformers.detokenize import Decode, Detokenizer
from internvl_llm.engines.transformers.kv import Keys
from internvl_llm.engines.transformers.sampling import Sampler
from internvl_llm.events import Finish, FinishReason, TextDelta, TokenLogprob, ToolCallDelta, Usage
from internvl_llm.prompt.dialects import CallParser
from internvl_llm.prompt.tiling import tile, tile_count

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from internvl_llm.engines.transformers.guidance import Constraint
    from internvl_llm.media.load import Loaded
    from internvl_llm.prompt.dialects import Format
    from internvl_llm.request import Request, Sampling

Listener = Callable[[TextDelta | ToolCallDelta | Finish | BaseException], None]


class Picture:
    """An image of a prompt, cut into tiles when that is needed; `key` names its features."""

    def __init__(self, loaded: Loaded, request: Request) -> None:
        self._image = loaded.image
        # What an image or the frame of a video says itself goes first; a bound moves the other one along.
        low = loaded.min_tiles or min(request.min_tiles, loaded.max_tiles or request.min_tiles)
        high = loaded.max_tiles or max(request.max_tiles, low)
        self._cut = (low, high)
        self._page = request.page or loaded.kind == "page"
        self.count = tile_count(*loaded.image.size, low, high, page=self._page)
        self.key = f"{loaded.digest} {low} {high} {self._page}"

    @cached_property
    def tiles(self) -> NDArray[np.uint8]:
        return tile(self._image, *self._cut, page=self._page)

    def keys(self, length: int) -> Keys:
        """What its patches are, below zero: equal for equal images cut alike."""
        start = int.from_bytes(hashlib.sha256(self.key.encode()).digest()[:7], "big")
        return -1 - (start + np.arange(length, dtype=np.int64))


@dataclass(slots=True)
class Prompted:
    """A prompt as the model takes it. `spans` are where each picture's patches stand in `ids`."""

    ids: list[int]
    spans: tuple[tuple[int, int], ...]
    pictures: list[Picture]

    @property
    def image_tokens(self) -> int:
        return sum(stop - start for start, stop in self.spans)

    def keys(self) -> Keys:
        keys = np.asarray(self.ids, np.int64)
        for (start, stop), picture in zip(self.spans, self.pictures, strict=True):
            keys[start:stop] = picture.keys(stop - start)
        return keys


@dataclass(frozen=True, slots=True)
class Calls:
    """That an answer may hold calls, in which form; after text only where it may be `anywhere`."""

    form: Format
    anywhere: bool


@dataclass(slots=True, eq=False)
class Job:
    prompt: Prompted
    sampling: Sampling
    max_tokens: int
    """Those of the sampling, or what the context leaves."""
    listener: Listener
    decode: Decode
    number: int = 0
    """Among the samples of its request."""
    constraint: Constraint | None = None
    calls: Calls | None = None
    said: list[int] = field(default_factory=list)
    computed: int = 0
    """Positions whose keys and values are there."""
    cached: int | None = None
    """Positions that were taken over when it first began."""
    features: dict[int, torch.Tensor] = field(default_factory=dict)
    """Of its pictures, as long as its prompt is being computed."""
    cancelled: bool = False
    ended: bool = False
    _sampler: Sampler | None = None
    _text: Detokenizer | None = None
    _parser: CallParser | None = None
    keys: Keys = field(default_factory=lambda: np.empty(0, np.int64))

    def __post_init__(self) -> None:
        self._sampler = Sampler(self.sampling, self.prompt.ids, self.number)
        self._text = Detokenizer(self.decode, self.sampling.stop)
        self.keys = self.prompt.keys()
        if self.calls is not None:
            salt = hashlib.sha256(self.keys.tobytes() + bytes([self.number])).hexdigest()[:12]
            self._parser = CallParser(self.calls.form, salt, anywhere=self.calls.anywhere)

    @property
    def tokens(self) -> list[int]:
        return self.prompt.ids + self.said

    @property
    def all_keys(self) -> Keys:
        return np.concatenate([self.keys, np.asarray(self.said, np.int64)])

    @property
    def needs(self) -> int:
        """Positions it may come to."""
        return len(self.prompt.ids) + self.max_tokens

    @property
    def sampler(self) -> Sampler:
        assert self._sampler is not None
        return self._sampler

    def say(self, token: int, ends: bool, logprobs: Sequence[TokenLogprob] = ()) -> bool:
        """Take a token; whether it was the last one."""
        assert self._text is not None
        self.said.append(token)
        if self.constraint is not None and not ends:
            self.constraint.take(token)
        self._tell("" if ends else self._text.push(token), logprobs)
        if ends or self._text.stopped or (self.constraint is not None and self.constraint.complete):
            return self.end("stop")
        if len(self.said) >= self.max_tokens:
            return self.end("length")
        return False

    def end(self, reason: FinishReason) -> bool:
        assert self._text is not None
        self._tell(self._text.finish())
        if self._parser is not None:
            for event in self._parser.finish():
                self.listener(event)
            if reason == "stop" and self._parser.completed:
                reason = "tool_calls"
        self.ended = True
        self.listener(Finish(reason, self.usage))
        return True

    def _tell(self, text: str, logprobs: Sequence[TokenLogprob] = ()) -> None:
        """Log probabilities come with text, be it none."""
        events: list[TextDelta | ToolCallDelta] = [TextDelta(text)] if text else []
        if self._parser is not None:
            events = self._parser.push(text)
        if logprobs:
            said = events[0].text if events and isinstance(events[0], TextDelta) else ""
            events[: 1 if said else 0] = [TextDelta(said, tuple(logprobs))]
        for event in events:
            self.listener(event)

    def fail(self, error: BaseException) -> None:
        self.ended = True
        self.listener(error)

    @property
    def usage(self) -> Usage:
        return Usage(len(self.prompt.ids), len(self.said), self.prompt.image_tokens, self.cached or 0)


def tensors(tiles: NDArray[np.uint8], device: Any, dtype: Any) -> torch.Tensor:
    """Pixel values [n, 3, 448, 448]."""
    import torch

    from internvl_llm.prompt.tiling import normalise

    return torch.from_numpy(normalise(tiles)).to(device=device, dtype=dtype)
