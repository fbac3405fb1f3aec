"""What may be asked."""

from __future__ import annotations

from typing import Any

import pytest

from internvl_llm.errors import OptionError
from internvl_llm.media.limits import MediaOptions
from internvl_llm.messages import MAX_TILES
from internvl_llm.prompt.tiling import grid
from internvl_llm.request import Request, Sampling

NAN, INF = float("nan"), float("inf")
WRONG: list[Any] = [True, NAN, INF, -INF, -1, "1", [1], None, 10**400]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("max_tokens", [*WRONG, 0, 2**31, 1.5]),
        ("temperature", [True, NAN, INF, -1, "1", [1], 1e300, 101, -1e-300]),
        ("top_p", [True, NAN, INF, 0, -0.1, 1.1, "1"]),
        ("top_k", [True, NAN, INF, -1, 2**31, 1.5, "1"]),
        ("repetition_penalty", [True, NAN, INF, 0, -1, 1e-300, 1e300, "1"]),
        ("seed", [True, NAN, 1.5, "1", 2**64, -(2**63) - 1, 10**5000]),
        ("logprobs", [True, NAN, -1, 21, "1"]),
        ("stop", [["a"] * 100_000, [""], ["a" * 10**6], [1], 7]),
    ],
)
def test_sampling_of_extreme_values(name: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(OptionError, match=name) as refused:
            Sampling(**{name: value})
        assert len(str(refused.value)) < 400


@pytest.mark.parametrize("temperature", [1e-300, 5e-324, 1e-6, 0])
def test_next_to_nothing_is_greedy(temperature: float) -> None:
    assert Sampling(temperature=temperature).temperature == 0


@pytest.mark.parametrize("tiles", [*WRONG, 0, MAX_TILES + 1, 10**6, 1.5])
def test_tiles(tiles: Any) -> None:
    for bounds in ({"max_tiles": tiles}, {"min_tiles": tiles}, {"min_tiles": tiles, "max_tiles": tiles}):
        with pytest.raises(OptionError, match="tiles"):
            Request("-", **bounds)
        with pytest.raises(OptionError, match="tiles"):
            grid(100, 100, **bounds)
    with pytest.raises(OptionError, match="n cannot be"):
        Request("-", Sampling(temperature=1.0), n=tiles if tiles != 1.5 else 65)


@pytest.mark.parametrize("name", ["dpi", "frames", "max_images", "max_video_seconds"])
def test_media(name: str) -> None:
    for value in (True, NAN, INF, -1, 0, "1", [1], 10**400):
        with pytest.raises(OptionError, match=name):
            MediaOptions(**{name: value})
