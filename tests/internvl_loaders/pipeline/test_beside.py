"""Pages that a model or OCR read, beside one another: what they wait for, and in which order they come."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from internvl_loaders.document import Block, Page
from internvl_loaders.errors import PageError
from internvl_loaders.pipeline.beside import beside_one_another
from internvl_loaders.sources import Source

SOURCE = Source("a.pdf", "a.pdf")


def page(number: int, *texts: str, total: int = 4, method: str = "internvl", name: str = "a.pdf") -> Page:
    blocks = tuple(Block(type="paragraph", text=text) for text in texts)
    return Page(source=name, number=number, total_pages=total, status="ok", method=method, blocks=blocks)


def types(pages: list[tuple[Source, Page]]) -> list[list[str]]:
    return [[block.type for block in page.blocks] for _, page in pages]


def test_running_lines_are_told_by_the_page_before_and_the_one_after() -> None:
    pages = [
        (SOURCE, page(n, "ACME Ltd.", f"Words {n}.", f"More {n}.", f"Page {n} of 4")) for n in (1, 2, 3, 4)
    ]
    assert (
        types(list(beside_one_another(iter(pages)))) == [["header", "paragraph", "paragraph", "footer"]] * 4
    )


def test_left_and_right_pages_have_heads_of_their_own() -> None:
    heads = {1: "The Book", 0: "A Chapter"}
    pages = [(SOURCE, page(n, heads[n % 2], f"Words {n}.", f"More {n}.")) for n in (1, 2, 3, 4)]
    assert types(list(beside_one_another(iter(pages))))[2:] == [["header", "paragraph", "paragraph"]] * 2


def test_pages_with_a_text_layer_wait_for_none_and_are_not_changed() -> None:
    pulled = []

    def pages() -> Iterator[tuple[Source, Page]]:
        for n in (1, 2, 3):
            pulled.append(n)
            yield SOURCE, page(n, "ACME Ltd.", f"Words {n}.", method="text-layer")

    found = beside_one_another(pages())
    assert next(found)[1].blocks[0].type == "paragraph"
    assert pulled == [1]
    assert types(list(found)) == [["paragraph", "paragraph"]] * 2


def test_another_document_is_no_neighbour() -> None:
    other = Source("b.pdf", "b.pdf")
    first = [(SOURCE, page(n, "ACME Ltd.", f"Words {n}.", "x", total=3)) for n in (1, 2)]
    second = [(other, page(n, "ACME Ltd.", f"Words {n}.", "x", total=9, name="b.pdf")) for n in (7,)]
    assert types(list(beside_one_another(iter([*first, *second]))))[2] == ["paragraph"] * 3


def test_a_page_comes_before_the_error_in_the_next_ones_place() -> None:
    def pages() -> Iterator[tuple[Source, Page]]:
        yield SOURCE, page(1, "Words.")
        raise PageError("it is broken")

    found = beside_one_another(pages())
    assert next(found)[1].number == 1
    with pytest.raises(PageError, match="it is broken"):
        next(found)


def test_it_can_be_closed_while_a_page_waits() -> None:
    closed = []

    def pages() -> Iterator[tuple[Source, Page]]:
        try:
            for n in (1, 2, 3):
                yield SOURCE, page(n, "Words.")
        finally:
            closed.append(True)

    inner = pages()
    found = beside_one_another(inner)
    assert next(found)[1].number == 1
    found.close()  # type: ignore[attr-defined]
    inner.close()
    assert closed == [True]
