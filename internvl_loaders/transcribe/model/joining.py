"""Texts of the bands of a page, one below the other, as one text. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

_MORE, _SOME = 1.6, 4
"""Times the words that an overlap should hold in which it is looked for, and some more: a line may be cut
through at its edge."""
_LEAST_WORDS, _LEAST_LETTERS = 4, 12
"""Of what two bands both say: one or the other."""

_TAG = re.compile(r"<[^<>]*>")
_WORD = re.compile(r"[⺀-鿿豈-﫿぀-ヿ]|\w+")
_LAST_TABLE = re.compile(r"<table\b(?:(?!<table\b).)*</table>\s*\Z", re.IGNORECASE | re.DOTALL)
_FIRST_TABLE = re.compile(r"\s*<table\b[^<>]*>(.*?)</table>", re.IGNORECASE | re.DOTALL)
_ROW = re.compile(r"<tr\b.*?(?:</tr>|(?=<tr\b)|\Z)", re.IGNORECASE | re.DOTALL)
_CELL = re.compile(r"<t[hd]\b([^<>]*)>", re.IGNORECASE)
_SPAN = re.compile(r"colspan\s*=\s*[\"']?(\d+)", re.IGNORECASE)
_DELIMITER = re.compile(r"\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?")


class Piece(NamedTuple):
    """A band's text, and the share of its height that the band above it shows too."""

    text: str
    overlap: float = 0.0


def joined(pieces: Sequence[Piece]) -> str:
    """What two bands both show is there once; a paragraph or a table that runs over an edge is one."""
    text = ""
    for piece in pieces:
        if not piece.text.strip():
            continue
        text = _after(text, piece) if text.strip() else piece.text
    return text


def _after(above: str, piece: Piece) -> str:
    if piece.overlap > 0 and (seam := _seam(above, piece)):
        end, start = seam
        return above[:end] + piece.text[start:]
    above, below = above.rstrip(), piece.text.lstrip("\n")
    return _one_table(above, below) or _one_pipe_table(above, below) or above + _between(above, below)


def _seam(above: str, piece: Piece) -> tuple[int, int] | None:
    """Where in the text above, and in the piece, ends the longest run of words that both have at the edge.

    It is longer than what is lost with it: the last words above and the first below, of lines cut through.
    """
    below = _words(piece.text)
    most = int(_MORE * piece.overlap * len(below)) + _SOME
    last, first = _words(above)[-most:], below[:most]
    matcher = SequenceMatcher(None, [w.text for w in last], [w.text for w in first], autojunk=False)
    found = matcher.find_longest_match()
    both = "".join(word.text for word in last[found.a : found.a + found.size])
    lost = len(last) - found.a - found.size + found.b
    if (found.size < _LEAST_WORDS and len(both) < _LEAST_LETTERS) or found.size < lost:
        return None
    return last[found.a + found.size - 1].end, first[found.b + found.size - 1].end


class _Word(NamedTuple):
    text: str
    end: int


def _words(text: str) -> list[_Word]:
    bare = _TAG.sub(lambda tag: " " * len(tag[0]), text)
    return [_Word(word[0].casefold(), word.end()) for word in _WORD.finditer(bare)]


def _between(above: str, below: str) -> str:
    """The text below, with what parts it from the text above: nothing but a space within a sentence."""
    first = below.lstrip()[:1]
    if first.islower() and above[-1:].isalpha() | (above[-1:] in ",-–("):
        if re.search(r"[^\W\d_]-\Z", above):
            return "\n" + below.lstrip()  # a word broken at the end of its line
        return " " + below.lstrip()
    return "\n\n" + below


def _one_table(above: str, below: str) -> str | None:
    """A table in HTML that goes on in the next band, under no other head."""
    last, first = _LAST_TABLE.search(above), _FIRST_TABLE.match(below)
    if last is None or first is None:
        return None
    head, rows = _ROW.findall(last[0]), _ROW.findall(first[1])
    if not head or not rows or _columns(head[0]) != _columns(rows[0]):
        return None
    if _bare(rows[0]) == _bare(head[0]):
        rows = rows[1:]
    elif rows:  # the first row of a picture is not the head of its table
        rows[0] = re.sub(r"(</?)th\b", r"\1td", rows[0], flags=re.IGNORECASE)
    body = re.sub(r"(?:</tbody>\s*)?</table>\s*\Z", "", above, flags=re.IGNORECASE)
    end = above[len(body) :]
    return body + "".join(rows) + end + below[first.end() :]


def _one_pipe_table(above: str, below: str) -> str | None:
    """Likewise, in markdown."""
    start = above.rfind("\n\n") + 2 if "\n\n" in above else 0
    head, (row, *rest) = above[start:].split("\n"), below.split("\n")
    if not (head[-1].lstrip().startswith("|") and row.lstrip().startswith("|")):
        return None
    if _pipes(head[-1]) != _pipes(row):
        return None
    if rest and _DELIMITER.fullmatch(rest[0].strip()):
        rest = rest[1:]
    rows = rest if _bare(row) == _bare(head[0]) else [row, *rest]
    return "\n".join([above, *rows])


def _columns(row: str) -> int:
    spans = [_SPAN.search(attributes) for attributes in _CELL.findall(row)]
    return sum(int(span[1][:4]) if span else 1 for span in spans)


def _pipes(row: str) -> int:
    return len(re.findall(r"(?<!\\)\|", row.strip().strip("|")))


def _bare(row: str) -> str:
    return " ".join(_WORD.findall(_TAG.sub(" ", row)))
