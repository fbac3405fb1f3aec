from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import pytest

from internvl_loaders.content import Content, Rect, Ruling, Span
from internvl_loaders.structure import structure
from internvl_loaders.structure.sane import sane

NAN, INF = math.nan, math.inf
SPAN = Span("word", 72, 72, 100, 84, 12)
SOUND = Content(595, 842, [SPAN], [Ruling(72, 90, 300, 90)], [Rect(72, 100, 200, 300)], 1)


def test_a_sound_page_comes_back_as_it_is() -> None:
    assert sane(SOUND) is SOUND


@pytest.mark.parametrize("number", [NAN, INF, -INF, 1e308, -1e308])
@pytest.mark.parametrize("name", ["x0", "y0", "x1", "y1", "size"])
def test_numbers_become_finite_and_ordered(name: str, number: float) -> None:
    page = sane(Content(595, 842, [replace(SPAN, **{name: number})]))
    (span,) = page.spans
    assert span.text == "word"
    assert -17_000 < span.x0 < span.x1 < 17_000
    assert -17_000 < span.y0 < span.y1 < 17_000
    assert 0 <= span.size < 17_000


def test_what_is_nowhere_is_left_out() -> None:
    page = sane(
        replace(SOUND, rulings=[Ruling(NAN, 1, 2, 1), Ruling(9, 5, -INF, 5)], figures=[Rect(0, NAN, 1, 1)])
    )
    assert page.rulings == [Ruling(-16_840, 5, 9, 5)]
    assert page.figures == []


@pytest.mark.parametrize("side", [NAN, INF, 0.0, -5.0, 1e300])
def test_a_page_without_a_size_gets_one(side: float) -> None:
    page = sane(replace(SOUND, width=side, height=side))
    assert (page.width, page.height) == (595, 842)


@pytest.mark.parametrize("upright", [True, False])
@pytest.mark.parametrize("size", [0.0, 5e-324, 10.0, NAN, INF])
def test_words_without_extent_are_still_read(size: float, upright: bool) -> None:
    """Words at one point, and with fonts of next to no size, divided by zero."""
    spans = [
        Span("0", 0, 0, 0, y, size, n, upright=upright) for n, y in enumerate([0, 0, 0, 3, 5, 0, 0, 9] * 2)
    ]
    blocks = structure(sane(Content(600, 600, spans)), words=True)
    assert sum(block.text.count("0") for block in blocks) == len(spans)


def test_impossible_numbers_side_by_side() -> None:
    odd = [0.0, NAN, INF, -1e308, 300.0]
    spans = [Span("w", x, y, x, y, 9) for x, y in product(odd, odd)]
    rulings = [Ruling(x, y, x, y) for x, y in product(odd, odd)]
    figures = [Rect(x, y, x, y) for x, y in product(odd, odd)]
    page = sane(Content(NAN, 842, spans, rulings, figures, len(rulings)))
    blocks = structure(page, neighbours=[page], words=True)
    assert sum(len(block.words) for block in blocks) == len(spans)
