from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from internvl_llm.engines.transformers.kv import Features, Prefixes, RowCache, shared_prefix  # noqa: E402


def states(rows: int, tokens: int, start: int = 0) -> torch.Tensor:
    """[rows, 2 heads, tokens, 3], every value telling its row and position."""
    row = torch.arange(rows)[:, None, None, None] * 1000.0
    place = (start + torch.arange(tokens))[None, None, :, None] * 1.0
    return (row + place).expand(rows, 2, tokens, 3).clone()


def test_rows_are_written_at_their_own_length() -> None:
    cache = RowCache(1)
    cache.fit(2, 5)
    cache.select(0, torch.arange(3)[None], 3)
    keys, values = cache.update(states(1, 3), -states(1, 3), 0)
    assert keys.shape == (1, 2, 3, 3)
    assert torch.equal(values, -keys)
    cache.select(1, torch.arange(5)[None], 5)
    cache.update(states(1, 5) + 1000, states(1, 5), 0)
    cache.select(0, torch.tensor([[3], [5]]), 6)
    cache.fit(2, 6)
    keys, _ = cache.update(
        torch.tensor([3.0, 1005.0])[:, None, None, None].expand(2, 2, 1, 3), states(2, 1), 0
    )
    assert keys[0, 0, :4, 0].tolist() == [0, 1, 2, 3]
    assert keys[1, 1, :6, 2].tolist() == [1000, 1001, 1002, 1003, 1004, 1005]


def test_growing_keeps_what_is_there() -> None:
    cache = RowCache(2)
    cache.fit(1, 10)
    for layer in range(2):
        cache.select(0, torch.arange(10)[None], 10)
        cache.update(states(1, 10), states(1, 10), layer)
    held = cache.copy_out(0, 10)
    cache.fit(9, 700)
    assert cache.rows >= 9
    assert cache.positions >= 700
    cache.move(0, 8, 10)
    for (keys, values), (old, _) in zip(cache.copy_out(8, 10), held, strict=True):
        assert torch.equal(keys, old)
        assert torch.equal(values, old)
    cache.shrink()
    cache.fit(1, 10)
    cache.copy_in(0, held, 7)
    assert torch.equal(cache.copy_out(0, 7)[1][0], held[1][0][:, :7])


def keys(*tokens: int) -> np.ndarray:  # type: ignore[type-arg]
    return np.asarray(tokens, np.int64)


def test_shared_prefix() -> None:
    assert shared_prefix(keys(1, 2, 3), keys(1, 2, 4, 5)) == 2
    assert shared_prefix(keys(), keys(1)) == 0
    assert shared_prefix(keys(1, 2), keys(1, 2, 3)) == 2


def test_the_longest_prefix_is_found_and_the_oldest_dropped() -> None:
    kept = Prefixes(30)
    made: list[str] = []

    def make(name: str):  # type: ignore[no-untyped-def]
        return lambda: made.append(name) or [(torch.zeros(1), torch.zeros(1))]

    kept.keep(keys(1, 2, 3), make("a"), 10)
    kept.keep(keys(7, 8), make("b"), 10)
    assert kept.longest(keys(1, 2, 9))[0] == 2
    kept.keep(keys(1, 2), make("never: it is there already"), 10)
    kept.keep(keys(1, 2, 3, 4), make("c"), 15)  # takes the place of a
    assert made == ["a", "b", "c"]
    assert kept.bytes == 25
    kept.keep(keys(5), make("d"), 10)  # b is the oldest
    assert kept.longest(keys(7, 8))[0] == 0
    assert kept.longest(keys(1, 2, 3, 4, 5))[0] == 4
    kept.keep(keys(6), make("too large"), 31)
    assert kept.bytes == 25
    kept.clear()
    assert (kept.bytes, kept.longest(keys(5))) == (0, (0, []))


def test_features_are_bounded() -> None:
    kept = Features(100)
    for name in "abc":
        kept.keep(name, torch.zeros(10))  # 40 bytes
        kept.get("a")
    assert kept.get("b") is None
    assert kept.get("a") is not None
    assert kept.get("c") is not None
    assert kept.bytes == 80
    assert "a" in kept and "b" not in kept  # which is no use of it
    kept.keep("d", torch.zeros(10))
    assert "a" not in kept
    kept.keep("large", torch.zeros(26))
    assert kept.get("large") is None
