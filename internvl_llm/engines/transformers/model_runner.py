"""The forward passes of one copy of the model: image features, prefill in pieces, decoding of many rows."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from collections.abc import Sequence as Sequences
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from internvl_llm.engines.transformers.kv import Features, Layers, Prefixes, RowCache
from internvl_llm.prompt.tiling import normalise

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from internvl_llm.engines.transformers.scheduler import Move
    from internvl_llm.engines.transformers.sequence import Sequence

_OOM = ("out of memory", "can't allocate memory", "not enough memory")

_MIN_PREFIX = 32
"""Positions from which the keys and values of a prompt are kept."""


@dataclass(frozen=True, slots=True)
class RunnerConfig:
    """Bounds of one copy of the model; see EngineSpec."""

    max_batch: int
    kv_tokens: int
    token_bytes: int
    """Of the keys and values of one position."""
    prefill_chunk: int
    vision_chunk: int
    prefix_bytes: int
    feature_bytes: int


class ModelRunner:
    """Knows rows and sequences, and not who is scheduled when."""

    def __init__(self, model: Any, config: RunnerConfig, prefill_attention: str) -> None:
        """`prefill_attention` is of prompts; where it is not `sdpa`, steps of several rows use sdpa all the
        same: only that takes our masks."""
        self.model = model
        self.config = config
        self.prefill_attention = prefill_attention
        self.language = model.model.language_model
        self.embed = model.get_input_embeddings()
        self.device, self.dtype = self.embed.weight.device, self.embed.weight.dtype
        self.cache = RowCache(self.language.config.num_hidden_layers)
        parameters = inspect.signature(type(self.language).forward).parameters
        self.cache_parameter = "cache" if "cache" in parameters else "past_key_values"  # its former name
        self.prefixes = Prefixes(config.prefix_bytes)
        self.features = Features(config.feature_bytes)

    def fit(self, rows: int, positions: int) -> None:
        """Make room for so many rows of so many positions."""
        self.cache.fit(rows, positions)

    def match_prefix(self, sequence: Sequence) -> Layers:
        """What is kept of the beginning of its prompt, which then counts as computed."""
        keys = sequence.keys
        shared, layers = self.prefixes.longest(keys)
        sequence.computed = min(shared, len(keys) - 1)  # the last position gives the logits
        if sequence.cached is None:
            sequence.cached = sequence.computed
        return layers

    def load_prefix(self, sequence: Sequence, row: int, layers: Layers) -> None:
        self.cache.copy_in(row, layers, sequence.computed)

    def keep_prefix(self, sequence: Sequence, row: int) -> None:
        """As long as there is memory for it."""
        length = sequence.computed
        if length < _MIN_PREFIX or sequence.cancelled:
            return
        try:
            self.prefixes.keep(
                sequence.keys[:length],
                lambda: self.cache.copy_out(row, length),
                length * self.config.token_bytes,
            )
        except Exception as error:
            if not is_oom(error):
                raise
            self.free_memory()

    def move(self, moves: Iterable[Move]) -> None:
        for source, target, positions in moves:
            self.cache.move(source, target, positions)

    def encode_images(self, sequence: Sequence) -> bool:
        """Features of the next tiles that its prompt needs; whether some were computed, so that others get
        their turn before the next."""
        prompt = sequence.prompt
        for index, ((_, stop), image) in enumerate(zip(prompt.spans, prompt.images, strict=True)):
            done = sequence.features.get(index)
            if stop <= sequence.computed or (done is not None and len(done) == image.count):
                continue
            if done is None and (kept := self.features.get(image.key)) is not None:
                sequence.features[index] = kept
                continue
            start = 0 if done is None else len(done)
            features = self._features(image.tiles[start : start + self.config.vision_chunk])
            done = features if done is None else torch.cat([done, features])
            sequence.features[index] = done
            if len(done) == image.count:
                self.features.keep(image.key, done)
            return True
        return False

    def _features(self, tiles: NDArray[np.uint8]) -> torch.Tensor:
        """Features [tiles, 256, hidden] of uint8 tiles [tiles, 448, 448, 3]."""
        pixels = torch.from_numpy(normalise(tiles)).to(device=self.device, dtype=self.dtype)
        outputs = self.model.model.get_image_features(pixel_values=pixels, return_dict=True)
        features: torch.Tensor = outputs.pooler_output.to(self.device, self.dtype)
        return features

    def prefill(self, sequence: Sequence, row: int) -> torch.Tensor | None:
        """Compute the next piece of the prompt; logits [1, vocabulary] when it was the last."""
        tokens = sequence.tokens
        start = sequence.computed
        stop = min(len(tokens), start + self.config.prefill_chunk)
        embedded = self.embed(torch.tensor([tokens[start:stop]], device=self.device))
        for index, (first, last) in enumerate(sequence.prompt.spans):
            low, high = max(first, start), min(last, stop)
            if low < high:
                patches = sequence.features[index].reshape(-1, embedded.shape[-1])
                embedded[0, low - start : high - start] = patches[low - first : high - first]
        positions = torch.arange(start, stop, device=self.device)[None]
        hidden = self._forward(embedded, row, positions, stop)
        sequence.computed = stop
        return self.model.lm_head(hidden[:, -1]) if stop == len(tokens) else None

    def decode(self, sequences: Sequences[Sequence], first_row: int) -> torch.Tensor:
        """Logits [sequences, vocabulary] of the next token of each; they are in rows from `first_row` on."""
        tokens = torch.tensor([[sequence.output[-1]] for sequence in sequences], device=self.device)
        positions = torch.tensor([[sequence.computed] for sequence in sequences], device=self.device)
        longest = max(sequence.computed for sequence in sequences) + 1
        hidden = self._forward(self.embed(tokens), first_row, positions, longest)
        for sequence in sequences:
            sequence.computed += 1
        logits: torch.Tensor = self.model.lm_head(hidden[:, -1])
        return logits

    def _forward(
        self, embedded: torch.Tensor, first_row: int, positions: torch.Tensor, longest: int
    ) -> torch.Tensor:
        """Hidden states of the batch's tokens, each of which sees its row up to itself."""
        self.cache.select(first_row, positions, longest)
        mask = torch.arange(longest, device=self.device) <= positions[:, None, :, None]
        attention: Any = mask
        if self.language.config._attn_implementation == "eager":
            attention = torch.zeros_like(mask, dtype=self.dtype).masked_fill(
                ~mask, torch.finfo(self.dtype).min
            )
        if self.prefill_attention != "sdpa":  # its kernels know the causal mask of one row by themselves
            alone = positions.shape[1] > 1
            self.language.config._attn_implementation = self.prefill_attention if alone else "sdpa"
            attention = None if alone else mask
        outputs = self.language(
            inputs_embeds=embedded,
            attention_mask=attention,
            position_ids=positions,
            use_cache=True,
            **{self.cache_parameter: self.cache},
        )
        hidden: torch.Tensor = outputs.last_hidden_state
        return hidden

    def free_memory(self) -> bool:
        """Give up what is kept for later requests; whether there was something."""
        had = self.prefixes.bytes + self.features.bytes
        self.prefixes.clear()
        self.features.clear()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return had > 0

    def unload(self) -> None:
        self.model = self.language = self.embed = None
        self.cache.shrink()
        self.prefixes.clear()
        self.features.clear()


def is_oom(error: Exception) -> bool:
    """Devices without an error of their own say it in a RuntimeError."""
    told = str(error) if isinstance(error, RuntimeError) else ""
    return isinstance(error, torch.OutOfMemoryError) or any(words in told for words in _OOM)
