"""An HTML table as a model wrote it, cut off or nested wrongly maybe, to a grid."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from html import escape, unescape

from lxml import etree, html

from internvl_loaders.document import Block
from internvl_loaders.transcribe.answer.grid import MAX_SPAN, AnswerCell, table_block, table_of
from internvl_loaders.transcribe.answer.text import untagged

_LINES = frozenset({"br", "p", "div", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "caption"})
_ENTITY = re.compile(r"&\w{2,31};")
"""The parser knows those of HTML 4 only."""
_BOLD = re.compile(r"\*\*([^*]+)\*\*")


def html_table(markup: str) -> Iterator[Block]:
    """The table, before it its caption and what stood in it but in no cell.

    Where the parser loses a letter or digit, all of it becomes one paragraph instead.
    """
    markup = _ENTITY.sub(lambda entity: escape(unescape(entity[0]), quote=False), markup)
    found = list(_read(markup))
    kept = " ".join(block.text for block in found)
    plain = unescape(untagged(markup))
    if _letters(plain) - _letters(kept):
        found = [Block(type="paragraph", text=text)] if (text := _lines(plain)) else []
    yield from found


def _letters(text: str) -> Counter[str]:
    return Counter(c for c in text if c.isalnum())


def _read(markup: str) -> Iterator[Block]:
    parser = html.HTMLParser(remove_comments=False, remove_pis=False, no_network=True, encoding="utf-8")
    try:
        root = html.document_fromstring(markup.encode("utf-8", "replace"), parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError, ValueError):
        return
    table = next(root.iter("table"), None)
    if table is None:
        return
    beside: list[str] = []
    captions: list[str] = []
    rows: list[list[AnswerCell]] = []
    _collect(root, table, rows, captions, beside)
    for caption in captions:
        yield Block(type="caption", text=caption)
    if loose := _lines("\n".join(beside)):
        yield Block(type="paragraph", text=loose)
    grid = table_of(rows)
    if grid is not None:
        yield table_block(grid)


def _collect(
    root: html.HtmlElement,
    table: html.HtmlElement,
    rows: list[list[AnswerCell]],
    captions: list[str],
    beside: list[str],
) -> None:
    """Rows with their cells in order; a cell outside any row belongs to the last one."""
    stack: list[tuple[html.HtmlElement, bool]] = [(root, False)]
    if not _is_tag(root):
        return
    while stack:
        element, in_head = stack.pop()
        tag = element.tag if _is_tag(element) else ""
        if tag in {"td", "th"}:
            if not rows:
                rows.append([])
            rows[-1].append(_cell(element, in_head))
            inner = list(_cells_within(element))
            stack += [(cell, in_head) for cell in reversed(inner)]
            continue
        if tag == "caption" and element.getparent() is table:
            captions.append(_text(element))
            continue
        if tag == "tr":
            rows.append([])
        in_head = in_head or tag == "thead"
        beside.append(element.text or "")
        for child in element:
            beside.append(child.tail or "")
        stack += [(child, in_head) for child in reversed(element)]


def _is_tag(element: html.HtmlElement) -> bool:
    return isinstance(element.tag, str)


def _cells_within(cell: html.HtmlElement) -> Iterator[html.HtmlElement]:
    """Cells that stand in another one of the same table, as where it was not closed."""
    for inner in cell.iter("td", "th"):
        if inner is not cell and _owner(inner) is _owner(cell) and _outer_cell(inner) is cell:
            yield inner


def _owner(cell: html.HtmlElement) -> html.HtmlElement | None:
    return next(cell.iterancestors("table"), None)


def _outer_cell(cell: html.HtmlElement) -> html.HtmlElement | None:
    return next(cell.iterancestors("td", "th"), None)


def _cell(element: html.HtmlElement, in_head: bool) -> AnswerCell:
    text = _text(element)
    bold = _BOLD.fullmatch(text)
    return AnswerCell(
        bold[1].strip() if bold else text,
        row_span=_span(element, "rowspan"),
        col_span=max(_span(element, "colspan"), 1),
        header=in_head or element.tag == "th",
    )


def _span(element: html.HtmlElement, name: str) -> int:
    text = element.get(name, "").strip()
    return min(int(text), MAX_SPAN) if text.isascii() and text.isdecimal() and len(text) < 9 else 1


def _text(element: html.HtmlElement) -> str:
    """What it says, line by line; cells of its own table that stand in it have their own."""
    apart = set(_cells_within(element)) if element.tag in {"td", "th"} else set()
    parts: list[str] = []
    stack: list[html.HtmlElement | str] = [element]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            parts.append(item)
            continue
        tag = item.tag if _is_tag(item) else ""
        if item in apart:
            continue
        breaks = "\n" if tag in _LINES else " " if tag in {"td", "th"} and item is not element else ""
        parts.append(breaks)
        if tag == "img":
            parts.append(item.get("alt") or "")
        parts.append(_one_line(item.text))
        stack.append(breaks)
        for child in reversed(item):
            stack += [_one_line(child.tail), child]
    return _lines("".join(parts))


def _one_line(text: str | None) -> str:
    return re.sub(r"\s+", " ", text or "")


def _lines(text: str) -> str:
    """White space within lines closed up, blank lines gone."""
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line)
