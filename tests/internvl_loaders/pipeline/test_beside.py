"""Pages that a model or OCR read, one after another: none waits for the next."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from internvl_loaders.document import Block, Document, Page
from internvl_loaders.pipeline.beside import after_one_another
from internvl_loaders.sources import Source

SOURCE = Source("a.pdf", "a.pdf")


def page(number: int, *texts: str, total: int = 4, method: str = "internvl", name: str = "a.pdf") -> Page:
    blocks = tuple(Block(type="paragraph", text=text) for text in texts)
    return Page(source=name, number=number, total_pages=total, status="ok", method=method, blocks=blocks)


def types(pages: list[tuple[Source, Page]]) -> list[list[str]]:
    return [[block.type for block in page.blocks] for _, page in pages]


def test_running_lines_are_told_by_the_pages_before_and_the_firsts_in_the_document() -> None:
    pages = [
        (SOURCE, page(n, "ACME Ltd.", f"Words {n}.", f"More {n}.", f"Page {n} of 4")) for n in (1, 2, 3, 4)
    ]
    told = list(after_one_another(iter(pages)))
    marked = ["header", "paragraph", "paragraph", "footer"]
    assert types(told) == [["paragraph", *marked[1:]]] + [marked] * 3
    document = Document.of([page for _, page in told])
    assert [[block.type for block in page.blocks] for page in document.pages] == [marked] * 4


def test_left_and_right_pages_have_heads_of_their_own() -> None:
    heads = {1: "The Book", 0: "A Chapter"}
    pages = [(SOURCE, page(n, heads[n % 2], f"Words {n}.", f"More {n}.")) for n in (1, 2, 3, 4)]
    assert types(list(after_one_another(iter(pages))))[2:] == [["header", "paragraph", "paragraph"]] * 2


@pytest.mark.parametrize("method", ["text-layer", "rapidocr", "internvl"])
def test_no_page_waits_for_the_next(method: str) -> None:
    pulled = []

    def pages() -> Iterator[tuple[Source, Page]]:
        for n in (1, 2, 3):
            pulled.append(n)
            yield SOURCE, page(n, "ACME Ltd.", f"Words {n}.", method=method)

    found = after_one_another(pages())
    assert next(found)[1].blocks[0].type == "paragraph"
    assert pulled == [1]
    first = "paragraph" if method == "text-layer" else "header"
    assert types(list(found)) == [[first, "paragraph"]] * 2


def test_another_document_is_no_neighbour() -> None:
    other = Source("b.pdf", "b.pdf")
    first = [(SOURCE, page(n, "ACME Ltd.", f"Words {n}.", "x", total=3)) for n in (1, 2)]
    second = [(other, page(n, "ACME Ltd.", f"Words {n}.", "x", total=9, name="b.pdf")) for n in (7,)]
    assert types(list(after_one_another(iter([*first, *second]))))[2] == ["paragraph"] * 3
