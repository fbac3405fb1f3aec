"""Keys and values: of the running sequences, one row each, and of prompts that may begin alike.

Rows are aligned to the left, so sequences of any length run together without padding: a row's next
token is written at its own length, and a mask hides what lies beyond.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from transformers.cache_utils import Cache, DynamicLayer

from internvl_llm.engines.prompting import Keys

Layers = list[tuple[torch.Tensor, torch.Tensor]]
"""Keys and values of one sequence, [heads, positions, width] each, a layer."""

_STEP, _ROWS = 256, 4
"""Positions and rows by which the tensors grow."""


class RowCache(Cache):  # type: ignore[misc]
    """Tensors [rows, heads, positions, width] a layer, made where the layer runs.

    Before a forward pass `select` says which rows the batch is and where its tokens are written.
    """

    def __init__(self, layers: int) -> None:
        super().__init__(layers=[DynamicLayer() for _ in range(layers)])  # by which masks know the kind
        self._layers: list[tuple[torch.Tensor, torch.Tensor] | None] = [None] * layers
        self.rows = self.positions = 0
        self._first = self._end = self._seen = 0
        self._slots = self._rows = torch.empty(0, dtype=torch.long)

    def fit(self, rows: int, positions: int) -> None:
        """Make room for so many rows in use, of so many positions; what they hold is kept."""
        if rows <= self.rows and positions <= self.positions:
            return
        rows, positions = -(-rows // _ROWS) * _ROWS, -(-positions // _STEP) * _STEP
        for index, layer in enumerate(self._layers):
            if layer is not None:
                keys, values = layer
                self._layers[index] = (_resized(keys, rows, positions), _resized(values, rows, positions))
        self.rows, self.positions = rows, positions  # last: where memory runs out before, nothing is lost

    def select(self, first: int, slots: torch.Tensor, seen: int) -> None:
        """Rows from `first` on write at `slots` [rows, tokens], and are then seen up to `seen` positions."""
        self._first, self._end = first, first + len(slots)
        self._seen, self._slots = seen, slots
        self._rows = torch.arange(first, self._end, device=slots.device)[:, None]

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        layer = self._layers[layer_idx]
        if layer is None:
            layer = (self._allocate(key_states), self._allocate(value_states))
            self._layers[layer_idx] = layer
        slots, rows = self._slots.to(key_states.device), self._rows.to(key_states.device)
        seen = []
        for tensor, new in zip(layer, (key_states, value_states), strict=True):
            tensor[rows, :, slots] = new.transpose(1, 2)
            seen.append(tensor[self._first : self._end, :, : self._seen])
        return seen[0], seen[1]

    def _allocate(self, like: torch.Tensor) -> torch.Tensor:
        return like.new_zeros(self.rows, like.shape[1], self.positions, like.shape[3])

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return self._seen

    def move(self, source: int, target: int, length: int) -> None:
        """A row's first `length` positions to another row."""
        for layer in self._layers:
            if layer is not None:
                for tensor in layer:
                    tensor[target, :, :length] = tensor[source, :, :length]

    def copy_out(self, row: int, length: int) -> Layers:
        return [
            (layer[0][row, :, :length].clone(), layer[1][row, :, :length].clone())
            for layer in self._layers
            if layer is not None
        ]

    def copy_in(self, row: int, layers: Layers, length: int) -> None:
        for index, copied in enumerate(layers):
            layer = self._layers[index]
            if layer is None:
                layer = (self._allocate(copied[0][None]), self._allocate(copied[1][None]))
                self._layers[index] = layer
            for tensor, new in zip(layer, copied, strict=True):
                tensor[row, :, :length] = new[:, :length]

    def shrink(self) -> None:
        """Give the memory back while nothing runs."""
        self._layers = [None] * len(self._layers)
        self.rows = self.positions = 0


def _resized(old: torch.Tensor, rows: int, positions: int) -> torch.Tensor:
    new = old.new_zeros(rows, old.shape[1], positions, old.shape[3])
    kept_rows, kept_positions = min(rows, old.shape[0]), min(positions, old.shape[2])
    new[:kept_rows, :, :kept_positions] = old[:kept_rows, :, :kept_positions]
    return new


class Prefixes:
    """Keys and values of prompts computed before, the least recently used dropped beyond `max_bytes`."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self._kept: OrderedDict[int, tuple[Keys, Layers, int]] = OrderedDict()
        self._serial = 0

    def longest(self, prompt: Keys) -> tuple[int, Layers]:
        """How many positions a kept prompt shares with this one's beginning, at least, and their layers."""
        best, length = None, 0
        for serial, (keys, _, _) in self._kept.items():
            shared = shared_prefix(keys, prompt)
            if shared > length:
                best, length = serial, shared
        if best is None:
            return 0, []
        self._kept.move_to_end(best)
        return length, self._kept[best][1]

    def has(self, prompt: Keys) -> bool:
        return any(shared_prefix(keys, prompt) == len(prompt) for keys, _, _ in self._kept.values())

    def keep(self, prompt: Keys, make: Callable[[], Layers], size: int) -> None:
        """`make` gives the layers, of `size` bytes; kept prompts that this one continues are replaced."""
        if size > self.max_bytes or self.has(prompt):
            return
        for serial, (keys, _, _) in list(self._kept.items()):
            if shared_prefix(keys, prompt) == len(keys):
                self._drop(serial)
        while self.bytes + size > self.max_bytes:
            self._drop(next(iter(self._kept)))
        self._serial += 1
        self._kept[self._serial] = (prompt, make(), size)
        self.bytes += size

    def clear(self) -> None:
        self._kept.clear()
        self.bytes = 0

    def _drop(self, serial: int) -> None:
        self.bytes -= self._kept.pop(serial)[2]


class Features:
    """Image features by what they are of, the least recently used dropped beyond `max_bytes`."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self._kept: OrderedDict[object, torch.Tensor] = OrderedDict()

    def __contains__(self, key: object) -> bool:
        """From any thread, unlike all else."""
        return key in self._kept

    def get(self, key: object) -> torch.Tensor | None:
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def keep(self, key: object, features: torch.Tensor) -> None:
        size = features.numel() * features.element_size()
        if size > self.max_bytes or key in self._kept:
            return
        while self.bytes + size > self.max_bytes:
            _, dropped = self._kept.popitem(last=False)
            self.bytes -= dropped.numel() * dropped.element_size()
        self._kept[key] = features
        self.bytes += size

    def clear(self) -> None:
        self._kept.clear()
        self.bytes = 0


def shared_prefix(one: Keys, other: Keys) -> int:
    """How many positions two prompts have in common from the beginning."""
    length = min(len(one), len(other))
    differ = np.flatnonzero(one[:length] != other[:length])
    return int(differ[0]) if len(differ) else length
