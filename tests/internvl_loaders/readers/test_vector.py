"""Rulings and figures from what a page draws."""

from __future__ import annotations

from internvl_loaders.content import Rect, Ruling, Span
from internvl_loaders.readers.cover import hide_covered
from internvl_loaders.readers.vector import Drawings, figures_of


def rulings(*lines: tuple[float, float, float, float]) -> list[Ruling]:
    drawings = Drawings(500, 700)
    for line in lines:
        drawings.line(*line)
    return drawings.rulings()


def test_touching_pieces_are_one_ruling_and_gaps_between_columns_stay() -> None:
    assert rulings((10, 50, 100, 50), (100.4, 50.3, 200, 50.3)) == [Ruling(10, 50.3, 200, 50.3)]
    assert rulings((10, 50, 100, 50), (105, 50, 200, 50)) == [
        Ruling(10, 50, 100, 50),
        Ruling(105, 50, 200, 50),
    ]
    assert rulings((200, 10, 200, 90), (200, 10, 200, 90)) == [Ruling(200, 10, 200, 90)]


def test_dashes_are_one_ruling() -> None:
    assert rulings(*((x, 50, x + 3, 50) for x in range(10, 60, 5))) == [Ruling(10, 50, 58, 50)]


def test_neither_ticks_nor_oblique_lines_nor_what_is_off_the_page() -> None:
    assert rulings((10, 50, 12, 50), (10, 10, 90, 90), (10, 900, 90, 900), (-90, 50, -10, 50)) == []
    assert rulings((-90, 50, 600, 50)) == [Ruling(0, 50, 500, 50)]


def test_rectangles() -> None:
    drawings = Drawings(500, 700)
    drawings.box(100, 52, 10, 50, stroked=False)  # thin, corners the other way round
    drawings.box(10, 100, 90, 200, stroked=False)  # a shade
    assert drawings.rulings() == [Ruling(10, 51, 100, 51)]
    drawings.box(10, 100, 90, 200, stroked=True)
    assert len(drawings.rulings()) == 5


def test_strips_and_tiles_are_one_figure() -> None:
    strips = [Rect(50, y, 450, y + 20) for y in range(100, 500, 20)]
    tiles = [Rect(x, y, x + 50, y + 50) for x in (50, 100) for y in (600, 650)]
    assert figures_of([*strips, *tiles], 500, 700) == [Rect(50, 100, 450, 500), Rect(50, 600, 150, 700)]


def test_figures_apart_or_within_another() -> None:
    found = figures_of([Rect(0, 0, 90, 90), Rect(200, 0, 290, 90), Rect(10, 10, 30, 30)], 500, 700)
    assert found == [Rect(0, 0, 90, 90), Rect(200, 0, 290, 90)]
    assert figures_of([Rect(-50, -50, 600, 800), Rect(3, 3, 6, 6)], 500, 700) == [Rect(0, 0, 500, 700)]
    assert figures_of([Rect(600, 10, 700, 90)], 500, 700) == []


def test_the_last_painted_thing_decides_what_is_seen() -> None:
    spans = [Span("a", 10, 10, 20, 20), Span("b", 10, 50, 20, 60)]
    scan, text = ("image", Rect(0, 0, 100, 40)), ("text", Rect(10, 10, 20, 20))
    assert [s.hidden for s in hide_covered(spans, [text, scan])] == [True, False]
    assert [s.hidden for s in hide_covered(spans, [text, scan, text])] == [False, False]
