"""Requests as tokenized prompts with tiled images: what every engine in this process begins with."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from internvl_llm.errors import ContextError, OptionError
from internvl_llm.media.load import load
from internvl_llm.prompt.chatml import render
from internvl_llm.prompt.dialects import describe
from internvl_llm.prompt.encoder import Encoder
from internvl_llm.prompt.segments import IMAGE_CONTEXT, IMAGE_END, IMAGE_START
from internvl_llm.prompt.tiling import tile, tile_count

if TYPE_CHECKING:
    from internvl_llm.engine import EngineSpec
    from internvl_llm.media.load import Loaded
    from internvl_llm.request import Request

UNSAID = (IMAGE_START, IMAGE_END, IMAGE_CONTEXT, "<video>", "<|im_start|>", "<|endoftext|>")
"""Special tokens that are no part of any answer."""

Keys = NDArray[np.int64]
"""What each position of a prompt is: a token id, or below zero a patch of an image."""


class TiledImage:
    """An image of a prompt. Its tiles are counted at once and cut when they are needed; `key` names them."""

    def __init__(self, image: Loaded, request: Request) -> None:
        self._image = image
        # What an image or the frame of a video says itself goes first; a bound moves the other one along.
        low = image.min_tiles or min(request.min_tiles, image.max_tiles or request.min_tiles)
        high = image.max_tiles or max(request.max_tiles, low)
        self._bounds = (low, high)
        self._page = request.page or image.kind == "page"
        self.count = tile_count(*image.size, low, high, page=self._page)
        self.key = f"{image.digest} {low} {high} {self._page}"
        self._tiles: NDArray[np.uint8] | None = None
        self._lock = threading.Lock()

    @property
    def tiles(self) -> NDArray[np.uint8]:
        """uint8 RGB [count, 448, 448, 3]; the image is drawn for them once, and not kept."""
        with self._lock:
            if self._tiles is None:
                self._tiles = tile(self._image.draw(), *self._bounds, page=self._page)
            return self._tiles

    def keys(self, length: int) -> Keys:
        """What its patches are, below zero: equal for equal images cut alike."""
        start = int.from_bytes(hashlib.sha256(self.key.encode()).digest()[:7], "big")
        return -1 - (start + np.arange(length, dtype=np.int64))


@dataclass(frozen=True, slots=True)
class TokenizedPrompt:
    """A prompt as the model takes it. `spans` are (start, stop) of each image's patches in `ids`."""

    ids: list[int]
    spans: tuple[tuple[int, int], ...]
    images: list[TiledImage]

    @property
    def image_tokens(self) -> int:
        return sum(stop - start for start, stop in self.spans)

    def keys(self) -> Keys:
        keys = np.asarray(self.ids, np.int64)
        for (start, stop), image in zip(self.spans, self.images, strict=True):
            keys[start:stop] = image.keys(stop - start)
        return keys


@dataclass(frozen=True, slots=True)
class Prompting:
    """Of one model: its tokenizer, how it is told of tools, and how many tokens it takes, answer included."""

    model: str
    encoder: Encoder
    dialect: Any
    context_tokens: int
    _images: WeakValueDictionary[str, TiledImage] = field(
        default_factory=WeakValueDictionary, repr=False, compare=False
    )
    """Those that prompts hold, by key: the same image in several is drawn and cut once."""

    def tokenize(self, request: Request) -> TokenizedPrompt:
        """Raises MessageError, MediaError or another SourceError."""
        shown = load(request.messages, request.media)
        tiled = [TiledImage(image, request) for image in shown.images]
        images = [self._images.setdefault(image.key, image) for image in tiled]
        prompt = render(
            request.messages,
            system=request.system,
            tools=describe(request.tools, self.dialect),
            dialect=self.dialect,
            pictures=shown.counts,
        )
        encoded = self.encoder.encode(prompt, [image.count for image in images])
        return TokenizedPrompt(encoded.ids, encoded.spans, images)

    def room(self, prompt: TokenizedPrompt, max_tokens: int) -> int:
        """Tokens that the answer may have: `max_tokens`, or what the context leaves. Raises ContextError."""
        left = self.context_tokens - len(prompt.ids)
        if left < 1:
            raise ContextError(
                f"the prompt has {len(prompt.ids):,} tokens, {prompt.image_tokens:,} of them of images; "
                f"{self.model} takes {self.context_tokens:,} with the answer",
                remedy="Show fewer pages or tiles (max_tiles), or drop earlier turns",
            )
        return min(left, max_tokens)


def allowed_context(spec: EngineSpec, model: str, context: int) -> int:
    """Tokens of a prompt and its answer, of the `context` that the model has. Raises OptionError."""
    if spec.context_tokens is not None and spec.context_tokens > context:
        raise OptionError(
            f"{model} takes {context:,} tokens, not {spec.context_tokens:,}", remedy="Lower context_tokens"
        )
    return spec.context_tokens or context
