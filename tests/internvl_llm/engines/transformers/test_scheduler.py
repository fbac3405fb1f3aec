"""Which sequences run, which wait and which give way: without a model, and without torch."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from internvl_llm.engines.prompting import TokenizedPrompt
from internvl_llm.engines.transformers.scheduler import Move, Scheduler, WaitingQueue
from internvl_llm.engines.transformers.sequence import Sequence
from internvl_llm.errors import EngineError
from internvl_llm.events import Finish
from internvl_llm.request import Sampling


class Told(list[Any]):
    """What a sequence tells, and a look at how it ended."""

    @property
    def reason(self) -> str:
        (finish,) = self
        assert isinstance(finish, Finish)
        return finish.reason

    @property
    def error(self) -> str:
        (error,) = self
        assert isinstance(error, EngineError)
        return str(error)


def sequence(prompt: int = 10, max_tokens: int = 10, emit: Callable[[Any], None] | None = None) -> Sequence:
    """Of `prompt` + `max_tokens` positions at most."""
    ids = TokenizedPrompt(list(range(prompt)), (), [])
    sampler: Any = None  # tokens are chosen elsewhere
    return Sequence(ids, Sampling(), max_tokens, emit or Told().append, lambda tokens: "", sampler)


def told(one: Sequence) -> Told:
    heard: Any = one.emit
    return heard.__self__  # type: ignore[no-any-return]


def scheduler(*waiting: Sequence, max_batch: int = 8, kv_tokens: int = 1000) -> Scheduler:
    queue = WaitingQueue()
    for one in waiting:
        queue.put(one)
    return Scheduler(queue, max_batch=max_batch, kv_tokens=kv_tokens)


def run(made: Scheduler) -> Sequence | None:
    """Admit the next one and have its prompt computed."""
    one = made.admit()
    if one is not None:
        one.computed = len(one.prompt.ids)
        assert made.promote() == len(made.running) - 1
    return one


def run_all(made: Scheduler) -> list[Sequence]:
    while run(made) is not None:
        pass
    return made.running


def waiting(made: Scheduler) -> list[Sequence]:
    return list(made.waiting._sequences)


def test_one_is_prefilled_at_a_time_and_runs_in_the_next_row() -> None:
    one, two = sequence(), sequence()
    made = scheduler(one, two)
    assert made.idle
    assert made.admit() is one is made.prefilling
    assert made.admit() is None
    assert made.promote() == 0
    assert run(made) is two
    assert made.running == made.sequences == [one, two]
    assert made.prefilling is None and not made.idle
    assert made.admit() is None


def test_rows_are_bounded() -> None:
    made = scheduler(*(sequence() for _ in range(5)), max_batch=3)
    assert len(run_all(made)) == 3
    made.remove(1)
    assert len(run_all(made)) == 3
    assert len(waiting(made)) == 1


@pytest.mark.parametrize(("kv_tokens", "rows"), [(20, 1), (39, 1), (40, 2), (79, 3), (80, 4), (10_000, 8)])
def test_rows_times_the_longest_fit_into_kv_tokens(kv_tokens: int, rows: int) -> None:
    made = scheduler(*(sequence(15, 5) for _ in range(8)), kv_tokens=kv_tokens)
    assert len(run_all(made)) == rows


def test_a_long_one_counts_for_all_rows() -> None:
    short, long, last = sequence(5, 5), sequence(50, 50), sequence(5, 5)
    made = scheduler(short, long, last, kv_tokens=200)
    assert run_all(made) == [short, long]
    made.remove(1)
    assert run_all(made) == [short, last]


def test_the_first_in_the_queue_is_not_overtaken() -> None:
    """Or those that need much would wait for ever."""
    made = scheduler(sequence(5, 5), sequence(60, 60), sequence(5, 5), kv_tokens=200)
    assert len(run_all(made)) == 1
    assert len(waiting(made)) == 2


def test_one_that_can_never_fit_comes_at_once_to_be_refused() -> None:
    huge = sequence(100, 101)
    made = scheduler(sequence(), huge, sequence(), kv_tokens=200)
    run(made)
    assert made.admit() is huge


def test_a_row_that_ends_is_filled_from_the_end() -> None:
    rows = [sequence(10 + n) for n in range(4)]
    made = scheduler(*rows)
    run_all(made)
    rows[3].computed = 17
    assert made.remove(1) == [Move(3, 1, 17)]
    assert made.running == [rows[0], rows[3], rows[2]]
    assert made.remove(2) == []
    assert made.running == [rows[0], rows[3]]


def test_the_row_that_is_prefilled_moves_with_the_end() -> None:
    rows = [sequence() for _ in range(3)]
    made = scheduler(*rows)
    run(made), run(made)
    assert made.admit() is rows[2]
    assert made.remove(0) == [Move(1, 0, 10)]  # nothing of it is computed yet
    rows[2].computed = 4
    assert made.remove(0) == [Move(1, 0, 4)]
    assert made.sequences == [rows[2]]


def test_moves_keep_every_row_where_its_sequence_is() -> None:
    """Replayed on a table, as the cache replays them on tensors."""
    rows = [sequence(10 + n) for n in range(6)]
    made = scheduler(*rows)
    for _ in range(5):
        run(made)
    prefilling = made.admit()
    assert prefilling is not None
    prefilling.computed = 3
    table: dict[int, Sequence] = dict(enumerate(made.sequences))
    for row in (1, 3, 0, 1, 0):
        for move in made.remove(row):
            assert move.positions == table[move.source].computed
            table[move.target] = table[move.source]
        assert [table[at] for at in range(len(made.sequences))] == made.sequences
    assert made.sequences == [prefilling]


def test_positions_are_those_of_the_longest() -> None:
    made = scheduler(sequence(10), sequence(30))
    assert made.longest(7) == 7
    run_all(made)
    assert (made.longest(0), made.longest(99)) == (31, 99)


def test_when_memory_runs_out_the_later_half_waits_in_order() -> None:
    rows = [sequence() for _ in range(5)]
    made = scheduler(*rows, max_batch=4)
    run_all(made)
    assert made.preempt() is None
    assert made.running == rows[:2]
    assert waiting(made) == rows[2:]
    assert [one.computed for one in rows] == [10, 10, 0, 0, 0]
    assert made.admit() is None  # until one that stayed has ended
    made.remove(0)
    assert run_all(made) == [rows[1], *rows[2:]]


def test_the_one_that_is_prefilled_gives_way_first() -> None:
    rows = [sequence() for _ in range(4)]
    made = scheduler(*rows)
    for _ in range(3):
        run(made)
    assert made.admit() is rows[3]
    rows[3].computed = 5
    rows[3].features[0] = object()  # type: ignore[assignment]
    made.preempt_prefill()
    assert made.running == rows[:3] and made.prefilling is None
    assert waiting(made) == [rows[3]]
    assert (rows[3].computed, rows[3].features) == (0, {})
    assert made.admit() is None
    made.remove(0)
    assert made.admit() is rows[3]
    assert made.preempt() is None
    assert made.running == [rows[2]] and made.prefilling is None
    assert waiting(made) == [rows[1], rows[3]]


def test_two_go_on_as_one() -> None:
    one, two = sequence(), sequence()
    made = scheduler(one, two)
    run(made)
    made.admit()
    assert made.preempt() is None
    assert made.running == [one] and waiting(made) == [two]
    assert made.admit() is None
    assert made.preempt() is one
    assert made.idle
    assert made.admit() is two
    made.preempt_prefill()  # alone it may begin again at once
    assert made.admit() is two


def test_cancelled_in_the_queue() -> None:
    first, second, third, fourth = (sequence() for _ in range(4))
    made = scheduler(first, second, third, fourth, max_batch=1)
    run(made)
    third.cancel()
    assert made.admit() is None
    assert told(third).reason == "cancelled"  # though nobody can be admitted
    assert waiting(made) == [second, fourth]
    second.cancel()
    made.remove(0)
    assert made.admit() is fourth
    assert told(second).reason == "cancelled"
    assert not told(first) and not told(fourth)


def test_a_listener_may_ask_while_it_is_told() -> None:
    queue = WaitingQueue()
    more = sequence()
    done = threading.Event()

    def ask(event: Any) -> None:
        asking = threading.Thread(target=lambda: (queue.put(more), done.set()))
        asking.start()
        asking.join(5)

    over = sequence(emit=ask)
    over.cancel()
    queue.put(over)
    assert queue.take(lambda one: True) is None
    assert done.is_set()
    assert queue.take(lambda one: True) is more


def test_several_schedulers_take_from_one_queue() -> None:
    rows = [sequence() for _ in range(5)]
    queue = WaitingQueue()
    for one in rows:
        queue.put(one)
    left, right = (Scheduler(queue, max_batch=2, kv_tokens=1000) for _ in range(2))
    taken = [run(made) for made in (left, right, left, right, left, right)]
    assert taken == [*rows[:4], None, None]
    assert left.preempt() is None
    assert left.running == [rows[0]]
    right.remove(0)
    assert run(right) is rows[2]  # before the one that never ran
    assert waiting(left) == [rows[4]]


def test_closing() -> None:
    one, two, three = (sequence() for _ in range(3))
    made = scheduler(one, two, three)
    run(made)
    assert made.waiting.close() == [two, three]
    assert made.waiting.close() == []
    made.waiting.put(two)
    assert "closed" in told(two).error
    made.admit()
    assert made.preempt() is one
    made.running.append(one)
    assert made.clear() == [one]
    assert made.idle


def test_what_gives_way_when_it_is_closed_hears_of_it() -> None:
    one, two = sequence(), sequence()
    made = scheduler(one, two)
    run_all(made)
    made.waiting.close()
    assert made.preempt() is None
    assert "closed" in told(two).error
    assert made.clear() == [one]


@pytest.fixture
def sleeper() -> Iterator[Callable[[WaitingQueue], threading.Thread]]:
    threads: list[threading.Thread] = []

    def start(queue: WaitingQueue) -> threading.Thread:
        threads.append(threading.Thread(target=queue.wait, daemon=True))
        threads[-1].start()
        return threads[-1]

    yield start
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()


@pytest.mark.parametrize("wake", ["put", "put first", "close"])
def test_all_that_wait_are_woken(sleeper: Callable[[WaitingQueue], threading.Thread], wake: str) -> None:
    queue = WaitingQueue()
    threads = [sleeper(queue) for _ in range(3)]
    threads[0].join(0.05)
    assert all(thread.is_alive() for thread in threads)
    if wake == "close":
        queue.close()
    else:
        queue.put(sequence(), first=wake == "put first")
    sleeper(queue)  # what is there already is not waited for


def test_a_sequence_ends_once() -> None:
    one = sequence()
    one.finish("cancelled")
    one.fail(EngineError("late"))
    one.finish("stop")
    assert told(one).reason == "cancelled"


def test_a_listener_that_raises_harms_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    def bad(event: Any) -> None:
        raise RuntimeError("scripted")

    one = sequence(emit=bad)
    one.append(1, ends=True)
    assert one.finished and one.cancelled
    assert "a listener raised" in caplog.text
    sequence(emit=bad).fail(EngineError("so be it"))


def test_neither_torch_nor_transformers_is_needed() -> None:
    code = f"""
import sys
sys.modules["torch"] = sys.modules["transformers"] = None
sys.path.insert(0, {str(__file__.rpartition("/tests/")[0])!r})
from tests.internvl_llm.engines.transformers import test_scheduler as tests
tests.test_when_memory_runs_out_the_later_half_waits_in_order()
tests.test_cancelled_in_the_queue()
print("fine")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "fine\n", done.stderr
