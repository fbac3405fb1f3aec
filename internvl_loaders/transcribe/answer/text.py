"""Markdown to blocks: headings, paragraphs, nested lists, GFM tables, pictures, inline formulas."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from html import unescape

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from internvl_loaders.document import Block
from internvl_loaders.transcribe.answer import gfm
from internvl_loaders.transcribe.answer.around import INVENTED
from internvl_loaders.transcribe.answer.boxed import parts, without_boxes
from internvl_loaders.transcribe.answer.grid import AnswerCell, table_block, table_of

_INLINE = (
    "a|abbr|b|bdo|big|center|cite|code|del|dfn|em|figcaption|figure|font|i|img|ins|kbd|mark|q|s|samp|small|"
    "span|strike|strong|sub|sup|time|tt|u|var"
)
_BLOCK = (
    "address|article|aside|blockquote|body|caption|dd|div|dl|dt|footer|header|html|main|nav|ol|p|pre|section|"
    "table|tbody|td|tfoot|th|thead|tr|ul"
)
_TAG = re.compile(
    rf"</?(?:(?P<inline>{_INLINE})|(?P<block>{_BLOCK})"
    r"|(?P<heading>h[1-6])|(?P<item>li)|(?P<line>br)|(?P<rule>hr))\b"
    r"(?P<attributes>(?:\s[^<>]*)?/?)>",
    re.IGNORECASE,
)
_ALTERNATIVE = re.compile(r"""\balt\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)
_PICTURE = re.compile(r"!\[([^\[\]\n]{0,500})\]\([^()\s]{0,500}\)")
_BARE_LINK = re.compile(r"\[((?:https?://|www\.)[^\[\]()\s]{1,500})\]\(\1\)")
_ENTITY = re.compile(
    r"&(?!(?:#124|#x7c|vert|verbar|VerticalLine);)(?:#\d{1,7}|#x[0-9a-f]{1,6}|\w{2,31});", re.I
)
_QUOTE = re.compile(r"^[ ]{0,3}(?:>[ ]?)+(?!\s*[\d<>=])", re.MULTILINE)
"""But no comparison, such as `> 65 years`."""
_PARAGRAPH_END = re.compile(r"\n[ \t]*\n")
_ALONE = re.compile(r"\$\$?([^$]+)\$\$?|\\\((.+)\\\)", re.DOTALL)


def text_blocks(text: str, notes: list[str]) -> Iterator[Block]:
    """Where markdown would swallow a letter or digit, its paragraphs are kept as they stand; what was mended
    or left out is told in `notes`."""
    for part, box in parts(text):
        for block in _text_blocks(part, notes):
            yield block.model_copy(update={"box": box}) if box else block


def plain_blocks(text: str) -> Iterator[Block]:
    """Paragraphs of text without marks."""
    for paragraph in _PARAGRAPH_END.split(text):
        if paragraph.strip():
            yield Block(type="paragraph", text=paragraph.strip("\n").rstrip())


def _text_blocks(text: str, notes: list[str]) -> Iterator[Block]:
    for is_table, lines in gfm.table_runs(_plain(text, notes).split("\n"), notes):
        if is_table:
            yield from _table(lines, notes)
            continue
        part = "\n".join(lines)
        try:
            found = list(_Walk().blocks(part))
        except RecursionError:  # lists in lists in lists
            found = []
        if _letters(part) - _letters(*(f"{block.marker or ''}{block.text}" for block in found)):
            found = list(plain_blocks(part))
        yield from found


def inline_text(text: str) -> str:
    """Without the marks of emphasis, links and code; formulas keep theirs."""
    found = _markdown().parseInline(text.strip())[0]
    plain = _printed(found.children or ())
    return text.strip() if _letters(text) - _letters(plain) else plain.strip()


def untagged(text: str) -> str:
    """Tags that HTML knows are gone; what only looks like one, as `<name>`, stays."""
    return _TAG.sub(lambda tag: _replacement(tag, markdown=False), text)


def _letters(*texts: str) -> Counter[str]:
    return Counter(c for text in texts for c in text if c.isalnum())


def _plain(text: str, notes: list[str]) -> str:
    """HTML as the markdown it stands for, and entities as their characters."""
    invented = [found[0][:100] for found in INVENTED.finditer(text)]
    if invented:
        notes.append(f"pictures with addresses that no page has were left out ({', '.join(invented)[:200]})")
        text = INVENTED.sub("", text)
    lines = map(_row_or_text, _QUOTE.sub("", text).split("\n"))
    text = _PICTURE.sub(r"![\1]()", "\n".join(lines))
    text = _BARE_LINK.sub(r"\1", text)
    return _ENTITY.sub(lambda entity: unescape(entity[0]), text)


def _row_or_text(line: str) -> str:
    in_row = line.lstrip().startswith("|")  # which ends with its line
    return _TAG.sub(lambda tag: _replacement(tag, markdown=not in_row), line)


def _replacement(tag: re.Match[str], *, markdown: bool) -> str:
    if tag["inline"]:
        picture = tag["inline"].lower() == "img" and _ALTERNATIVE.search(tag["attributes"])
        if not picture:
            return ""
        text = " ".join(next(filter(None, picture.groups()), "").split())
        return f"![{text}]()" if markdown else text
    if not markdown:
        return " " if tag["line"] or tag["block"] or tag["item"] else ""
    if tag["line"]:
        return "\n"
    opens = not tag[0].startswith("</")
    if tag["heading"] and opens:
        return f"\n\n{'#' * int(tag['heading'][1])} "
    return "\n- " if tag["item"] and opens else "\n\n"


def _table(lines: Sequence[str], notes: list[str]) -> Iterator[Block]:
    """A GFM table: rows may be ragged, and the header missing."""
    rows: list[list[AnswerCell]] = []
    header = 0
    for place, line in enumerate(lines):
        if gfm.is_delimiter(lines, place) or (place == 0 and gfm.DELIMITER.fullmatch(line)):
            header = header or len(rows)
        else:
            rows.append([_cell(cell) for cell in gfm.cells(line)])
    if not any(cell.text for row in rows[:header] for cell in row):
        rows, header = rows[header:], 0
    rows[:header] = [[replace(cell, header=True) for cell in row] for row in rows[:header]]
    table = table_of(rows, notes)
    if table is not None:
        yield table_block(table)
    elif text := "\n".join("\t".join(cell.text for cell in row) for row in rows).strip():
        yield Block(type="paragraph", text=text)


def _cell(text: str) -> AnswerCell:
    text, box = without_boxes(unescape(text.replace(r"\|", "|")))
    return AnswerCell(inline_text(text), box=box)


def _formula(state: StateInline, silent: bool) -> bool:
    r"""`$...$`, `$$...$$` and `\(...\)` as they stand; the dollar of a price is none (Pandoc's rule)."""
    text, at = state.src, state.pos
    if text.startswith(r"\(", at):
        opening, closing = r"\(", r"\)"
    elif text.startswith("$$", at):
        opening = closing = "$$"
    elif text.startswith("$", at) and not text[at + 1 : at + 2].isspace():
        opening = closing = "$"
    else:
        return False
    end = text.find(closing, at + len(opening), at + 2000)
    if end <= at + len(opening):
        return False
    after = end + len(closing)
    if closing == "$" and (
        text[end - 1].isspace() or text[end - 1] == "\\" or text[after : after + 1].isdigit()
    ):
        return False
    if not silent:
        state.push("formula", "", 0).content = text[at:after]
    state.pos = after
    return True


@cache
def _markdown() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False, "maxNesting": 100})
    # `text` over `---` is no heading on a page, indented text no code, and definitions would vanish.
    markdown.disable(["lheading", "code", "fence", "reference", "blockquote", "html_block"])
    markdown.disable(["html_inline", "autolink", "entity"])
    markdown.inline.ruler.before("escape", "formula", _formula)
    return markdown


class _Walk:
    """Tokens of one text to blocks."""

    def __init__(self) -> None:
        self.lists: list[str] = []
        self.item: Block | None = None
        self.heading: int | None = None

    def blocks(self, text: str) -> Iterator[Block]:
        for token in _markdown().parse(text):
            match token.type:
                case "bullet_list_open" | "ordered_list_open":
                    yield from self._finished_item()
                    self.lists.append(token.type)
                case "bullet_list_close" | "ordered_list_close":
                    self.lists.pop()
                case "list_item_open":
                    yield from self._finished_item()
                    marker = f"{token.info}{token.markup}"
                    self.item = Block(type="list_item", marker=marker, level=len(self.lists) - 1)
                case "list_item_close":
                    yield from self._finished_item()
                case "heading_open":
                    self.heading = int(token.tag[1])
                case "heading_close":
                    self.heading = None
                case "inline":
                    yield from self._inline(token)

    def _finished_item(self) -> Iterator[Block]:
        """The list item at hand, once it is known what is in it."""
        item, self.item = self.item, None
        if item is not None and (item.text or item.marker not in {"-", "*", "+"}):
            yield item

    def _inline(self, token: Token) -> Iterator[Block]:
        children = token.children or []
        text = _printed(children).strip()
        if self.item is not None and self.heading is None:
            parts = [part for part in (self.item.text, text) if part]
            self.item = self.item.model_copy(update={"text": "\n".join(parts)})
            return
        yield from self._finished_item()
        if self.heading is not None:
            if text:
                yield Block(type="heading", text=text, level=self.heading)
        elif [c.type for c in children if c.type != "softbreak"] == ["image"]:
            yield Block(type="figure", text=text)
        elif (alone := _ALONE.fullmatch(text)) and any(c.type == "formula" for c in children):
            yield Block(type="formula", text=(alone[1] or alone[2]).strip())
        elif text:
            yield Block(type="paragraph", text=text)


def _printed(children: Sequence[Token]) -> str:
    """Text as printed; an address that a link does not show comes after it."""
    parts: list[str] = []
    links: list[tuple[int, str]] = []
    for child in children:
        match child.type:
            case "softbreak" | "hardbreak":
                parts.append("\n")
            case "image":
                parts.append(_printed(child.children or ()) or child.content)
            case "link_open":
                links.append((len(parts), str(child.attrGet("href") or "")))
            case "link_close":
                start, address = links.pop()
                if address and unescape(address) not in "".join(parts[start:]):
                    parts.append(f" ({address})")
            case _:
                parts.append(child.content)
    return "".join(parts)
