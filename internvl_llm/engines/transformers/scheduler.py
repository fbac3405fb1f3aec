"""Which sequences run: who is admitted, which row each has, and who gives way when memory runs out."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from internvl_llm.engines.base import engine_closed

if TYPE_CHECKING:
    from internvl_llm.engines.transformers.sequence import Sequence


class WaitingQueue:
    """Sequences that no scheduler has taken yet; shared by the schedulers of an engine. Thread-safe."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self._sequences: deque[Sequence] = deque()
        self.closed = False

    def put(self, sequence: Sequence, *, first: bool = False) -> None:
        with self.changed:
            if not self.closed:
                (self._sequences.appendleft if first else self._sequences.append)(sequence)
                self.changed.notify_all()
                return
        sequence.fail(engine_closed())

    def take(self, fits: Callable[[Sequence], bool]) -> Sequence | None:
        """The first one, if it fits; cancelled ones end here, wherever they stand."""
        with self.changed:
            cancelled = [sequence for sequence in self._sequences if sequence.cancelled]
            for sequence in cancelled:
                self._sequences.remove(sequence)
            first = self._sequences.popleft() if self._sequences and fits(self._sequences[0]) else None
        for sequence in cancelled:
            sequence.finish("cancelled")
        return first

    def wait(self) -> None:
        with self.changed:
            self.changed.wait_for(lambda: self._sequences or self.closed)

    def close(self) -> list[Sequence]:
        """Those that were never taken."""
        with self.changed:
            self.closed = True
            left, self._sequences = list(self._sequences), deque()
            self.changed.notify_all()
            return left


class Move(NamedTuple):
    """Of the first `positions` of a row to another row."""

    source: int
    target: int
    positions: int


class Scheduler:
    """Rows 0 to n-1 are the running sequences, row n the one whose prompt is being computed (prefill).

    All rows are as long as the longest, so `kv_tokens` bounds rows times the positions that one may come to.
    """

    def __init__(self, waiting: WaitingQueue, *, max_batch: int, kv_tokens: int) -> None:
        self.waiting = waiting
        self.running: list[Sequence] = []
        self.prefilling: Sequence | None = None
        self.max_batch = max_batch
        self.kv_tokens = kv_tokens
        self.max_rows = max_batch
        """Fewer than `max_batch` after memory ran out, until a sequence ends."""

    @property
    def sequences(self) -> list[Sequence]:
        return [*self.running, *([self.prefilling] if self.prefilling is not None else [])]

    @property
    def idle(self) -> bool:
        return not self.running and self.prefilling is None

    def longest(self, positions: int) -> int:
        """Positions a row must have for all that there are, one with `positions` among them."""
        return max([positions, *(sequence.computed + 1 for sequence in self.sequences)])

    def admit(self) -> Sequence | None:
        """The next waiting sequence, if there is room for it and none is being prefilled. One for which there
        never will be comes at once, to be refused."""
        if self.prefilling is not None:
            return None
        self.prefilling = self.waiting.take(self._fits)
        return self.prefilling

    def _fits(self, sequence: Sequence) -> bool:
        rows = len(self.running) + 1
        if rows == 1 or sequence.max_positions > self.kv_tokens:
            return True
        longest = max(other.max_positions for other in [sequence, *self.running])
        return rows <= self.max_rows and rows * longest <= self.kv_tokens

    def promote(self) -> int:
        """The prompt is computed: the sequence runs. Its row."""
        assert self.prefilling is not None
        self.running.append(self.prefilling)
        self.prefilling = None
        return len(self.running) - 1

    def remove(self, row: int) -> list[Move]:
        """Close the gap: the last row takes its place, and the row being prefilled takes that one's."""
        moves: list[Move] = []
        last = len(self.running) - 1
        if row != last:
            moves.append(Move(last, row, self.running[last].computed))
            self.running[row] = self.running[last]
        self.running.pop()
        if self.prefilling is not None and self.prefilling.computed:
            moves.append(Move(last + 1, last, self.prefilling.computed))
        self.max_rows = self.max_batch
        return moves

    def preempt_prefill(self) -> None:
        """The sequence that is being prefilled waits, first in the queue, until one that runs has ended."""
        assert self.prefilling is not None
        sequence, self.prefilling = self.prefilling, None
        if self.running:
            self.max_rows = len(self.running)
        self._requeue(sequence)

    def preempt(self) -> Sequence | None:
        """Half of the rows wait until the others are done. One alone has nobody to give way: it is taken out
        and returned."""
        stay = len(self.running) // 2
        if self.prefilling is not None:
            self.preempt_prefill()
        elif not stay:
            return self.running.pop()
        stay = max(stay, 1)
        for sequence in reversed(self.running[stay:]):
            self._requeue(sequence)
        del self.running[stay:]
        self.max_rows = len(self.running)
        return None

    def clear(self) -> list[Sequence]:
        """Take all out."""
        sequences = self.sequences
        self.running, self.prefilling = [], None
        return sequences

    def _requeue(self, sequence: Sequence) -> None:
        sequence.computed = 0
        sequence.features.clear()
        self.waiting.put(sequence, first=True)
