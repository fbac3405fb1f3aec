"""One page's content to blocks: furniture, order, paragraphs, roles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from internvl_loaders.content import Content, Rect, Span
from internvl_loaders.document import Block, BlockType, Box, Word
from internvl_loaders.structure.boxes import EMPTY, TICKED
from internvl_loaders.structure.draft import Draft
from internvl_loaders.structure.figures import Figure, find_figures
from internvl_loaders.structure.furniture import find_furniture
from internvl_loaders.structure.lines import Line, fragments, join_initials
from internvl_loaders.structure.links import links_of, moved
from internvl_loaders.structure.measure import Column, Style, style_of
from internvl_loaders.structure.order import reading_order
from internvl_loaders.structure.paragraphs import drafts
from internvl_loaders.structure.roles import assign
from internvl_loaders.structure.rows import printed_lines
from internvl_loaders.structure.script import is_rtl
from internvl_loaders.structure.strikes import close_marks, open_marks
from internvl_loaders.structure.strips import Item
from internvl_loaders.structure.tables.find import FoundTable, find_tables
from internvl_loaders.structure.turned import direction_of, turned, turned_back

Element = Draft | Figure | FoundTable

_STATES = {EMPTY: "[ ]", TICKED: "[x]"}
"""How boxes are written: as task lists have them."""


def structure(content: Content, *, words: bool = False, neighbours: Sequence[Content] = ()) -> list[Block]:
    """The page's blocks in reading order; every span's text is in exactly one of them.

    `content` and `neighbours`, other pages of the document, are as `sane` gives them: running heads
    and feet show by repetition.
    """
    content = open_marks(content)
    tables = find_tables(content)
    consumed = frozenset[int]().union(*(t.spans for t in tables))
    rest = [s for i, s in enumerate(content.spans) if i not in consumed and s.text.strip()]
    upright = [s for s in rest if s.upright]
    sideways = [s for s in rest if not s.upright]
    blocks = _blocks(_elements(content, upright, tables, neighbours), content, words)
    if not sideways:
        return blocks
    other = _sideways(sideways, content, words)
    return other + blocks if _chars(sideways) > _chars(upright) else blocks + other


def _sideways(spans: list[Span], content: Content, words: bool) -> list[Block]:
    """Text that runs up or down, laid out on a page turned for it."""
    direction = direction_of(spans)
    page = turned(spans, content.width, content.height, direction)

    def back(box: Box | None) -> Box | None:
        return box and turned_back(box, direction)

    return [
        b.model_copy(
            update={
                "box": back(b.box),
                "words": tuple(w.model_copy(update={"box": back(w.box)}) for w in b.words),
            }
        )
        for b in _blocks(_elements(page, page.spans, [], ()), page, words)
    ]


def _chars(spans: Iterable[Span]) -> int:
    return sum(len(s.text) for s in spans)


def _elements(
    content: Content, spans: Sequence[Span], tables: Sequence[FoundTable], neighbours: Sequence[Content]
) -> list[Element]:
    """The page's elements in reading order, running heads first and feet last."""
    style = style_of([s for s in content.spans if s.upright])
    if tables and _chars(spans) > 60 and (prose := style_of(spans)).size > style.size:
        style = prose
    parts = fragments(spans)
    furniture = find_furniture(content, spans, parts, style.size, [t.rect for t in tables], neighbours)
    taken = {id(s) for line in (*furniture.head, *furniture.foot) for s in line.spans}
    if taken:
        parts = fragments(s for s in spans if id(s) not in taken)
    figures, free = find_figures(content, join_initials(parts, style.size))
    items = _items(free, style)
    items += [Item(*t.rect, payload=t) for t in tables]
    items += [Item(*f.rect, payload=f) for f in figures]
    rtl = is_rtl("".join(s.text for s in spans))
    body = list(_flow(items, style, rtl))
    assign(body, content, style, [*(t.rect for t in tables), *(f.rect for f in figures)], neighbours)
    elements: list[Element] = [Draft("header", [line]) for line in furniture.head]
    for element in body:
        elements.append(element)
        if isinstance(element, Figure):  # its labels are neither headings nor notes
            elements += _flow(_items(element.lines, style), style, rtl)
    return [*elements, *(Draft("footer", [line]) for line in furniture.foot)]


def _items(parts: Iterable[Line], style: Style) -> list[Item]:
    """OCR boxes are padded: a gutter between them is wider than it seems."""
    pad = 0.15 * style.size if style.noisy else 0.0
    return [Item(p.x0 + min(pad, p.width / 4), p.y0, p.x1 - min(pad, p.width / 4), p.y1, p) for p in parts]


def _flow(items: list[Item], style: Style, rtl: bool) -> Iterator[Element]:
    for leaf in reading_order(items, style.size, rtl=rtl, written=not style.noisy):
        lines = printed_lines([i.line for i in leaf.items if i.line], written=not style.noisy)
        if rtl:
            lines = [line.mirrored() for line in lines]
        column = Column(lines, style) if lines else None
        done = 0
        for item in sorted((i for i in leaf.items if not i.line), key=lambda i: i.y0):
            upto = done
            while upto < len(lines) and lines[upto].middle < item.y0:
                upto += 1
            if column:
                yield from drafts(lines[done:upto], column)
            done = upto
            if isinstance(item.payload, Figure | FoundTable):
                yield item.payload
        if column:
            yield from drafts(lines[done:], column)


def _blocks(elements: Sequence[Element], content: Content, words: bool) -> list[Block]:
    seen = Counter(s.text.lower().strip(".,;:!?()\"'") for s in content.spans)
    blocks = [_block(e, content, seen, words) for e in elements]
    if any(s.text in _STATES for s in content.spans):
        blocks = [_stated(block) for block in blocks]
    return [close_marks(b) for b in blocks] if any(s.struck for s in content.spans) else blocks


def _stated(block: Block) -> Block:
    """With boxes as they are typed."""
    update: dict[str, object] = {"text": _typed(block.text), "marker": block.marker and _typed(block.marker)}
    update["links"] = moved(block.links, block.text, _typed)
    update["words"] = tuple(w.model_copy(update={"text": _typed(w.text)}) for w in block.words)
    if block.table:
        cells = tuple(
            c.model_copy(update={"text": _typed(c.text), "links": moved(c.links, c.text, _typed)})
            for c in block.table.cells
        )
        update["table"] = block.table.model_copy(update={"cells": cells})
    return block.model_copy(update=update)


def _typed(text: str) -> str:
    for box, typed in _STATES.items():
        text = text.replace(box, typed)
    return text


def _block(element: Element, content: Content, seen: Mapping[str, int], words: bool) -> Block:
    width, height = content.width or 1.0, content.height or 1.0
    if isinstance(element, Figure):
        return Block(type="figure", box=Box.of(*element.rect, width, height))
    if isinstance(element, FoundTable):
        spans = [content.spans[i] for i in sorted(element.spans)]
        table = element.table
        by_row: dict[int, list[str]] = {}
        for cell in sorted(table.cells, key=lambda c: (c.row, c.col)):
            by_row.setdefault(cell.row, []).append(cell.text)
        return Block(
            type="table",
            text="\n".join("\t".join(texts) for texts in by_row.values()),
            box=Box.of(*element.rect, width, height),
            table=table,
            confidence=_confidence(spans),
            words=_words(spans, width, height) if words else (),
        )
    spans = [s for line in element.lines for s in line.spans]
    rect = Rect(
        min(line.x0 for line in element.lines),
        min(line.y0 for line in element.lines),
        max(line.x1 for line in element.lines),
        max(line.y1 for line in element.lines),
    )
    kind: BlockType = element.type
    text = element.text(seen)
    return Block(
        type=kind,
        text=text,
        links=links_of(text, spans),
        box=Box.of(*rect, width, height),
        level=element.level,
        marker=element.marker.text if element.marker else None,
        confidence=_confidence(spans),
        words=_words(spans, width, height) if words else (),
    )


def _confidence(spans: Sequence[Span]) -> float | None:
    known = [s.confidence for s in spans if s.confidence is not None]
    return round(sum(known) / len(known), 4) if known else None


def _words(spans: Sequence[Span], width: float, height: float) -> tuple[Word, ...]:
    return tuple(
        Word(text=s.text, box=Box.of(s.x0, s.y0, s.x1, s.y1, width, height), confidence=s.confidence)
        for s in spans
    )
