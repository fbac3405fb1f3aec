"""An HTML table as a model wrote it, cut off or with tags missing maybe, to a grid."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape

from internvl_loaders.document import Block
from internvl_loaders.transcribe.answer.boxed import without_boxes
from internvl_loaders.transcribe.answer.grid import MAX_SPAN, AnswerCell, table_block, table_of
from internvl_loaders.transcribe.answer.text import untagged

_TAG = re.compile(
    r"<\s*(?P<end>/?)\s*(?P<name>table|thead|tbody|tfoot|tr|td|th|caption|colgroup|col)\b"
    r"(?P<attributes>[^<>]*)(?:>|(?=<)|\Z)",
    re.IGNORECASE,
)
_TABLE_TAG = re.compile(r"<(/?)table\b[^<>]*>?", re.IGNORECASE)
_ANY_PART = re.compile(r"</?(?:thead|tbody|tfoot|tr|td|th|caption)\b[^<>]*>?", re.IGNORECASE)
_PARAGRAPH_END = re.compile(r"\n[ \t]*\n")
_LINE = re.compile(r"</?(?:br|p|div|li|ul|ol|tr|h[1-6]|caption)\b[^<>]*>", re.IGNORECASE)
_CELL = re.compile(r"</?(?:td|th|table|thead|tbody|tfoot|colgroup|col)\b[^<>]*>", re.IGNORECASE)
_CUT_TAG = re.compile(r"</?[a-z]{0,8}\Z", re.IGNORECASE)
_DEEPEST = 20
"""Tables within tables, beyond which they are taken for tables that were not closed."""
_BOLD = re.compile(r"\*\*([^*]+)\*\*")


def table_end(text: str, begin: int) -> int:
    """Where the table that begins there ends: with its own tag, or, where that is missing, after its last row
    or cell and before the next table."""
    depth = 0
    tags: list[re.Match[str]] = []
    for tag in _TABLE_TAG.finditer(text, begin):
        tags.append(tag)
        depth += -1 if tag[1] else 1
        if depth == 0:
            return tag.end()
        if depth > _DEEPEST:
            break
    if len(tags) > 1 and tags[1][1]:
        return tags[1].end()
    limit = tags[1].start() if len(tags) > 1 else len(text)
    parts = list(_ANY_PART.finditer(text, begin, limit))
    if not parts:
        return tags[0].end() if limit < len(text) else limit
    last = parts[-1]
    if last[0].startswith("</") and (not text[last.end() : limit].strip() or text[last.end()] == "\n"):
        return last.end()
    paragraph = _PARAGRAPH_END.search(text, last.end(), limit)
    return paragraph.start() if paragraph else limit


def without_table(markup: str) -> str | None:
    """What stands between the tags of a table that has no rows or cells but lines of markdown."""
    if _ANY_PART.search(markup) or "|" not in markup:
        return None
    return _TABLE_TAG.sub("", markup)


def html_table(markup: str, notes: list[str]) -> Iterator[Block]:
    """The table, before it its caption and what stood in it but in no cell."""
    reader = _Reader()
    reader.read(markup)
    for caption in reader.captions:
        if text := _text(caption):
            yield Block(type="caption", text=text)
    if loose := _text("<br>".join(reader.beside)):
        yield Block(type="paragraph", text=loose)
    grid = table_of(reader.rows, notes)
    if reader.faults and (grid or reader.rows):
        told = ", ".join(f"{count} {what}" for what, count in reader.faults.items())
        notes.append(f"a table's broken markup was mended ({told})")
    if grid is not None:
        yield table_block(grid)


class _Reader:
    """Rows with their cells in order, by what each tag can mean where it stands."""

    def __init__(self) -> None:
        self.rows: list[list[AnswerCell]] = []
        self.captions: list[str] = []
        self.beside: list[str] = []
        self.faults: dict[str, int] = {}
        self._row_open = self._in_head = self._has_row = False
        self._cell: re.Match[str] | None = None
        self._caption = False
        self._loose: list[str] = []
        """Text of the open cell or caption, or of neither."""
        self._inner = 0
        """Tables open within the cell."""

    def read(self, markup: str) -> None:
        head_ends = bool(re.search(r"</thead|<tbody", markup, re.IGNORECASE))
        if "<thead" in markup.lower() and "</thead" not in markup.lower():
            self._fault("head not closed")
        at = 0
        for tag in _TAG.finditer(markup):
            self._loose.append(markup[at : tag.start()])
            at = tag.end()
            self._tag(tag, head_ends)
        rest = markup[at:]
        closed = not self._inner and bool(re.search(r"</table\s*>?\s*\Z", markup, re.IGNORECASE))
        self._loose.append(rest if closed else _CUT_TAG.sub("", rest))
        self._end_text()
        if not closed:
            self._fault("end of the table missing")

    def _tag(self, tag: re.Match[str], head_ends: bool) -> None:
        name, ends = tag["name"].lower(), bool(tag["end"])
        if self._inner or (name == "table" and self._cell is not None and not ends):
            if name == "table":
                self._inner += -1 if ends else 1
            self._loose.append(tag[0])
        elif name in {"td", "th"}:
            self._end_cell(tag) if ends else self._begin_cell(tag)
        elif name == "tr":
            self._end_text()
            if self._row_open and not ends:
                self._fault("rows not closed")
            if not ends:
                self.rows.append([])
                if not head_ends and self._has_row:
                    self._in_head = False
                self._has_row = True
            self._row_open = not ends
        elif name == "caption":
            self._end_text()
            self._caption = not ends
        elif name in {"thead", "tbody", "tfoot", "table"}:
            self._end_text()
            self._row_open = False
            self._in_head = name == "thead" and not ends

    def _begin_cell(self, tag: re.Match[str]) -> None:
        if self._cell is not None:
            self._fault("cells not closed")
        self._end_text()
        if not self._row_open:
            self._fault("rows not opened")
            self.rows.append([])
            self._row_open = True
        if tag["attributes"].count('"') % 2:
            self._fault("quotes not closed")
        self._cell = tag

    def _end_cell(self, tag: re.Match[str]) -> None:
        if self._cell is None:
            if self._row_open and ("".join(self._loose).strip() or not self.rows[-1]):
                self._fault("cells not opened")
                self._cell = tag
            else:
                self._fault("cells closed twice")
        elif self._cell["name"].lower() != tag["name"].lower():
            self._fault("cells closed by another tag")
        self._end_text()

    def _end_text(self) -> None:
        """What stood since the last tag goes where it belongs."""
        text = "".join(self._loose)
        self._loose = []
        self._inner = 0
        if self._cell is not None:
            self.rows[-1].append(_cell(self._cell, text, self._in_head))
            self._cell = None
        elif self._caption:
            self.captions.append(text)
            self._caption = False
        elif text.strip() and self._row_open and self.rows and self.rows[-1]:
            last = self.rows[-1][-1]
            self._fault("texts behind their cell")
            apart = "\n" if text[0].isspace() else ""
            self.rows[-1][-1] = replace(last, text=f"{last.text}{apart}{_text(text)}".strip())
        else:
            self.beside.append(text)

    def _fault(self, what: str) -> None:
        self.faults[what] = self.faults.get(what, 0) + 1


def _cell(tag: re.Match[str], markup: str, in_head: bool) -> AnswerCell:
    markup, box = without_boxes(markup)
    text = _text(markup)
    bold = _BOLD.fullmatch(text)
    return AnswerCell(
        bold[1].strip() if bold else text,
        row_span=_span(tag["attributes"], "rowspan"),
        col_span=max(_span(tag["attributes"], "colspan"), 1),
        header=in_head or tag["name"].lower() == "th",
        box=box,
    )


def _span(attributes: str, name: str) -> int:
    found = re.search(rf"\b{name}\s*=\s*[\"'“”]?\s*(\d{{1,8}})(?!\w)", attributes, re.ASCII | re.IGNORECASE)
    return min(int(found[1]), MAX_SPAN) if found else 1


def _text(markup: str) -> str:
    """What it says, line by line; white space within lines closed up, blank lines gone."""
    plain = _CELL.sub(" ", _LINE.sub("\v", re.sub(r"\s+", " ", markup)))
    lines = (" ".join(unescape(untagged(line)).split()) for line in plain.split("\v"))
    return "\n".join(line for line in lines if line)
