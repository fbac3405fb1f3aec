"""Prompts as token ids. Only trusted text becomes special tokens; the rest stays text, whatever it holds."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from internvl_llm.errors import CheckpointError, MessageError
from internvl_llm.prompt.segments import (
    IMAGE_CONTEXT,
    IMAGE_END,
    IMAGE_START,
    Control,
    Picture,
    Plain,
    Prompt,
    sound,
)


@dataclass(frozen=True, slots=True)
class Encoded:
    """`spans` are the (start, stop) of each picture's context tokens in `ids`."""

    ids: list[int]
    spans: tuple[tuple[int, int], ...]


class Encoder:
    """A tokenizer (a fast one of transformers, of a byte-level or byte-fallback BPE) made safe for prompts.

    Text is encoded by a copy of it that has no added tokens, not even in its vocabulary or merges. The text
    between two special tokens is encoded in one piece, whatever segments it came in, so trusted text gets the
    very tokens that the tokenizer itself would give it.
    """

    def __init__(self, tokenizer: Any, tokens_per_tile: int = 256) -> None:
        from tokenizers import Tokenizer

        backend = getattr(tokenizer, "backend_tokenizer", None)
        if not isinstance(backend, Tokenizer):
            raise CheckpointError("the checkpoint has no fast tokenizer", remedy="Add its tokenizer.json")
        self.special = {token.content: id for id, token in backend.get_added_tokens_decoder().items()}
        for needed in (IMAGE_CONTEXT, IMAGE_START, IMAGE_END, "<|im_start|>", "<|im_end|>"):
            if needed not in self.special:
                raise CheckpointError(
                    f"the tokenizer has no special token {needed}",
                    remedy="Use an InternVL3 or 3.5 checkpoint",
                )
        longest_first = sorted(self.special, key=len, reverse=True)
        self._split = re.compile(f"({'|'.join(map(re.escape, longest_first))})")
        self._plain = Tokenizer.from_str(_without_added_tokens(json.loads(backend.to_str())))
        self._start = list(backend.encode("").ids)  # a BOS where the tokenizer has one
        self.tokens_per_tile = tokens_per_tile
        self._context = [self.special[IMAGE_CONTEXT]] * tokens_per_tile

    def encode(self, prompt: Prompt, tiles: Sequence[int] = ()) -> Encoded:
        """`tiles` of each picture, thumbnails included. Raises MessageError if they are not as many."""
        if len(tiles) != prompt.pictures or any(count < 1 for count in tiles):
            raise MessageError(
                f"tile counts {list(tiles)} for {prompt.pictures} images", remedy="Give one or more for each"
            )
        ids, spans, text = list(self._start), [], ""
        for segment in prompt.segments:
            if isinstance(segment, Plain):
                text += segment.text
                continue
            pieces = self._split.split(segment.text) if isinstance(segment, Control) else [""]
            for at, piece in enumerate(pieces):
                if at % 2:
                    ids += [*self.words(text), self.special[piece]]
                    text = ""
                else:
                    text += piece
            if isinstance(segment, Picture):
                ids += self.words(text)
                text = ""
                spans.append((len(ids), len(ids) + len(self._context) * tiles[segment.index]))
                ids += self._context * tiles[segment.index]
        return Encoded(ids + self.words(text), tuple(spans))

    def words(self, text: str) -> list[int]:
        """The tokens of untrusted text."""
        return self.exactly(sound(text))

    def exactly(self, text: str) -> list[int]:
        """The tokens of these very characters, as a grammar asks for them."""
        return list(self._plain.encode(text, add_special_tokens=False).ids) if text else []


_encoders: WeakKeyDictionary[Any, Encoder] = WeakKeyDictionary()


def encode(prompt: Prompt, tokenizer: Any, tiles: Sequence[int] = (), tokens_per_tile: int = 256) -> Encoded:
    """By an Encoder made once for the tokenizer."""
    encoder = _encoders.get(tokenizer)
    if encoder is None or encoder.tokens_per_tile != tokens_per_tile:
        encoder = _encoders[tokenizer] = Encoder(tokenizer, tokens_per_tile)
    return encoder.encode(prompt, tiles)


def _without_added_tokens(state: dict[str, Any]) -> str:
    """The JSON of a tokenizer of which text can become no added token."""
    model, added = state["model"], {token["content"] for token in state["added_tokens"]}
    if model["type"] != "BPE":
        raise CheckpointError(
            f"the tokenizer is a {model['type']}, not BPE", remedy="Use an InternVL3 or 3.5 checkpoint"
        )
    pairs = (pair.split(" ", 1) if isinstance(pair, str) else pair for pair in model["merges"])
    merges = [pair for pair in pairs if not added & {*pair, "".join(pair)}]
    vocab = {token: id for token, id in model["vocab"].items() if token not in added}
    state |= {"added_tokens": [], "post_processor": None, "truncation": None, "padding": None}
    state["model"] = model | {"vocab": vocab, "merges": merges, "unk_token": None}
    return json.dumps(_later(state), ensure_ascii=False)


def _later(state: Any) -> Any:
    """Text never begins the prompt, so no space is put before it where only the beginning gets one."""
    if isinstance(state, dict):
        return {k: "never" if (k, v) == ("prepend_scheme", "first") else _later(v) for k, v in state.items()}
    return state
