"""Running lines among the blocks of pages that a model or OCR read."""

from __future__ import annotations

from typing import Any

import pytest

from internvl_loaders.document import Block, Box, Page, Table
from internvl_loaders.running_lines import marked

TABLE = Block(type="table", text="x", table=Table(rows=1, cols=1, cells=()))


def page(number: int, *blocks: str | Block, **more: Any) -> Page:
    made = [Block(type="paragraph", text=b) if isinstance(b, str) else b for b in blocks]
    given = {"source": "a", "total_pages": 9, "status": "ok", "method": "rapidocr", **more}
    return Page(number=number, blocks=tuple(made), **given)


def types(of: Page, *neighbours: Page) -> list[str]:
    found = marked(of, neighbours)
    assert [b.text for b in found.blocks] == [b.text for b in of.blocks]
    return [b.type for b in found.blocks]


def test_what_neighbours_have_at_the_same_end_is_running() -> None:
    pages = [
        page(n, "ACME Ltd. | Report", f"Text of {n} ends.", "confidential", f"{n + 4}") for n in (2, 3, 4)
    ]
    assert types(pages[1], pages[0], pages[2]) == ["header", "paragraph", "footer", "footer"]
    assert types(pages[0], pages[1]) == ["header", "paragraph", "footer", "footer"]
    assert types(pages[1]) == ["paragraph"] * 4


@pytest.mark.parametrize(
    "number", ["Page {} of 9", "- {} -", "{}", "第 {} 页", "Seite {}", "{} / 9", "Report 2025 · {}"]
)
def test_page_numbers_count(number: str) -> None:
    first, second = (page(n, f"Text {n}.", TABLE, number.format(n)) for n in (3, 4))
    assert types(second, first) == ["paragraph", "table", "footer"]
    other = page(4, "Text.", TABLE, number.format(7))
    if number in {"- {} -", "{}", "Report 2025 · {}"}:
        assert types(other, first) == ["paragraph", "table", "paragraph"]


def test_what_only_looks_alike_is_text() -> None:
    assert types(page(2, "Invoice 4711", "a", TABLE), page(1, "Invoice 4698", "b", TABLE))[0] == "paragraph"
    assert types(page(2, "a", "Total", TABLE), page(1, "b", TABLE, "Total")) == [
        "paragraph",
        "paragraph",
        "table",
    ]
    assert types(page(2, TABLE, "Same"), page(1, "Same", TABLE)) == ["table", "paragraph"]
    assert types(page(2, "2024", "a", TABLE), page(1, "2024", "b", TABLE))[0] == "paragraph"
    long = "word " * 40
    assert types(page(2, long, TABLE), page(1, long, TABLE)) == ["paragraph", "table"]


def test_a_page_of_nothing_else_keeps_its_text() -> None:
    assert types(page(2, "Appendix", "2"), page(1, "Appendix", "1")) == ["paragraph", "paragraph"]


def test_the_title_on_the_first_page_stays_one() -> None:
    title = Block(type="heading", text="Annual Report", level=1)
    first, second = page(1, title, "a"), page(2, title, "b")
    assert types(first, second) == ["heading", "paragraph"]
    assert types(second, first) == ["header", "paragraph"]
    assert marked(second, [first]).blocks[0].level is None


def test_places_count_where_they_are_known() -> None:
    def at(number: int, y: float) -> Page:
        box = Box(x0=0.1, y0=y, x1=0.5, y1=y + 0.02)
        return page(number, Block(type="paragraph", text="Summary", box=box), "words", TABLE)

    assert types(at(2, 0.05), at(1, 0.055))[0] == "header"
    assert types(at(2, 0.05), at(1, 0.3))[0] == "paragraph"
