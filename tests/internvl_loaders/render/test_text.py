from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from internvl_loaders.document import Block, Document, Page
from internvl_loaders.render.text import text
from tests.kit import documents
from tests.kit.documents import flat, table


def test_blocks() -> None:
    blocks = [
        Block(type="header", text="Acme"),
        Block(type="heading", text="*Scope*", level=2),
        Block(type="paragraph", text=" one\r\ntwo "),
        Block(type="list_item", text="one", marker="1."),
        Block(type="list_item", text="under\nmore", marker="•", level=1),
        Block(type="list_item", text="bare"),
        Block(type="table", table=table([("Both", 1, 2), None], [("a", 2, 1), "b\tb"], [None, ""])),
        Block(type="figure"),
        Block(type="footer", text="Page 1"),
    ]
    body = "*Scope*\n\none\ntwo\n\n1. one\n  • under\n  more\nbare\n\nBoth\na\tb b"
    assert text(blocks) == f"Acme\n\n{body}\n\nPage 1"
    assert text(blocks, headers_footers=False) == body


@given(st.lists(documents.blocks, max_size=4))
def test_every_character_is_there(blocks: list[Block]) -> None:
    wanted = "".join(
        "".join(flat(cell.text) for cell in sorted(block.table.cells, key=lambda c: (c.row, c.col)))
        if block.table is not None
        else flat((block.marker or "") if block.type == "list_item" and flat(block.text) else "")
        + flat(block.text)
        for block in blocks
    )
    got = flat(text([b for b in blocks if flat(b.text) or b.table is not None]))
    assert got == wanted


def test_a_failed_page_is_never_silent() -> None:
    good = Page(source="a", number=1, status="ok", blocks=(Block(type="paragraph", text="fine"),))
    failed = Page(source="a", number=2, status="failed", reason="timed out")
    assert failed.to_text() == ""
    document = Document.of([good, failed])
    assert document.to_text() == "fine\n\n[Page 2 could not be read: timed out]"
    assert document.to_text(page_breaks=True) == "fine\n\f\n[Page 2 could not be read: timed out]"
