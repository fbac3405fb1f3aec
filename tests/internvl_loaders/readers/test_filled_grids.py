"""Grids drawn as one filled path, as exports of web office suites have them."""

from __future__ import annotations

from typing import Any

import pytest

from internvl_loaders.structure.page import structure
from tests.internvl_loaders.readers.test_pdf_readers import content, reader  # noqa: F401
from tests.kit.build import page_pdf

ROWS = [["Country", "Capital", "Currency"], ["France", "Paris", "Euro"], ["Japan", "Tokyo", "Yen"]]
XS, YS = (50, 150, 250, 350), (500, 480, 460, 440)
WORDS = "BT /F 10 Tf " + "".join(
    f"1 0 0 1 {XS[c] + 4} {YS[r] - 14} Tm ({word}) Tj "
    for r, row in enumerate(ROWS)
    for c, word in enumerate(row)
)


def rectangle(x: float, y: float, width: float, height: float) -> str:
    return f"{x} {y} {width} {height} re "


def outline(x: float, y: float, width: float, height: float) -> str:
    return f"{x} {y} m {x + width} {y} l {x + width} {y + height} l {x} {y + height} l {x} {y} l h "


def grid(shape: Any, thick: float) -> str:
    half = thick / 2
    return "".join(
        [shape(XS[0] - half, y - half, XS[-1] - XS[0] + thick, thick) for y in YS]
        + [shape(x - half, YS[-1] - half, thick, YS[0] - YS[-1] + thick) for x in XS]
    )


def pieces(shape: Any) -> str:
    """A ruling for every side of every cell, not one touching the next."""
    across = [shape(x + 0.4, y - 0.4, 99.2, 0.8) for y in YS for x in XS[:-1]]
    return "".join(across + [shape(x - 0.4, y - 19.6, 0.8, 19.2) for y in YS[:-1] for x in XS])


def cut_out() -> str:
    """The whole, and its cells taken out of it."""
    cells = [outline(x + 0.4, y - 19.6, 99.2, 19.2) for y in YS[:-1] for x in XS[:-1]]
    return outline(XS[0] - 0.4, YS[-1] - 0.4, XS[-1] - XS[0] + 0.8, YS[0] - YS[-1] + 0.8) + "".join(cells)


GRIDS = {
    "rectangles": grid(rectangle, 0.8) + "f",
    "outlines": grid(outline, 0.75) + "f",
    "thick": grid(outline, 2) + "f",
    "grey": "0.7 g " + grid(rectangle, 0.5) + "f 0 g",
    "pieces": pieces(outline) + "f",
    "filled even and odd": pieces(rectangle) + "f*",
    "cells cut out": cut_out() + "f*",
    "scaled": "q 0.5 0 0 0.5 0 0 cm 2 0 0 2 0 0 cm " + grid(outline, 0.8) + "f Q",
}


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("drawn", GRIDS)
def test_a_grid_of_one_path_is_a_table(reader: Any, drawn: str, turned: bool) -> None:  # noqa: F811
    text = f"{GRIDS[drawn]} {WORDS} ET"
    if turned:  # upright again by the page's rotation
        pdf = page_pdf(f"q 0 1 -1 0 600 0 cm {text} Q", media=(0, 0, 600, 400), extra="/Rotate 90")
    else:
        pdf = page_pdf(text)
    found = content(reader, pdf)
    (table,) = [b.table for b in structure(found) if b.table]
    assert table.grid() == ROWS
    assert len(found.rulings) >= len(XS) + len(YS)


def test_letters_and_shapes_of_one_path_have_no_rulings(reader: Any) -> None:  # noqa: F811
    shapes = "50 500 m 60 500 l 55 520 l h 80 500 m 100 500 100 520 80 520 c h " + outline(120, 480, 40, 30)
    assert content(reader, page_pdf(shapes + "f")).rulings == []
    ring = outline(50, 400, 200, 100) + outline(100, 430, 100, 40)
    assert content(reader, page_pdf(ring + "f*")).rulings == []
