"""Text cleaned for every format, and as markdown that CommonMark, GFM and maths extensions read as that text.

No more is escaped than can be markup where it stands: `snake_case`, `3 * 4`, `C#`, `-5`, `AT&T`,
`p < 0.05` and `[1]` stay as they are. `<` and `&` become entities, since programs look for tags in
markdown without parsing it; the rest gets a backslash.
"""

from __future__ import annotations

import re
import unicodedata

from internvl_loaders.render.spans import has_marks

_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufeff\ufffe\uffff]")
_INLINE = re.compile(
    r"""
    (?P<entity> <(?=[A-Za-z/!?]|[^\s<>]*@) | &(?=\#?[0-9A-Za-z]+;) )
  | (?P<escape> ` | \\(?=[!-/:-@\[-`{-~]|$) | \](?=[(:]) )
  | (?P<run> \*+ | _+ | ~+ | \$+ )
    """,
    re.VERBOSE | re.MULTILINE,
)
_ENTITIES = {"<": "&lt;", "&": "&amp;"}
# pandoc's rule for what dollar signs enclose
_MATHS = re.compile(r"\$(?=\S)[^$]*(?<=\S)\$(?!\d)")
# headings, quotes, tables' rows and their second line, rules, fences, bullets, numbers
_BLOCK = re.compile(r"(?=[#>|]|~~~|[-*_:|=\s]+$|[-+*](?:\s|$))|([0-9]{1,9})(?=[.)](?:\s|$))")


def clean(text: str) -> str:
    """Every kind of line break as `\\n`, without byte order marks and what XML and HTML do not allow."""
    return _FORBIDDEN.sub("", "\n".join(text.splitlines()))


def one_line(text: str) -> str:
    """Cleaned, each run of white space one space, none at the ends."""
    return " ".join(clean(text).split())


def inline(text: str) -> str:
    """Escaped for the inside of a paragraph, a heading or a cell."""
    live = None if has_marks(text) else _live_runs(text)

    def escaped(match: re.Match[str]) -> str:
        markup = match[0]
        if match["entity"]:
            return _ENTITIES[markup]
        if match["escape"]:
            return f"\\{markup}"
        return "".join(f"\\{mark}" for mark in markup) if live is None or match.start() in live else markup

    return _INLINE.sub(escaped, text)


def line_start(escaped: str) -> str:
    """A line of `inline` text, stripped, that starts no block either."""
    match = _BLOCK.match(escaped)
    if not match or not escaped:
        return escaped
    number = match[1] or ""
    rest = escaped[len(number) :]
    # what is left of a run of these would be another run, which might close emphasis
    run = len(rest) - len(rest.lstrip(rest[0])) if rest[0] in "*_~" else 1
    return number + "".join(f"\\{mark}" for mark in rest[:run]) + rest[run:]


def _live_runs(text: str) -> set[int]:
    """Where the runs of `*`, `_`, `~`, `$` start that may open or close emphasis, strikes or maths."""
    openers: dict[str, list[int]] = {}
    closers: dict[str, list[int]] = {}
    for match in re.finditer(r"\*+|_+|~+", text):
        mark, start = match[0][0], match.start()
        for before, after in _neighbours(text, start, match.end()):
            if mark == "_" and before.isalnum() and after.isalnum():
                continue
            if not after.isspace() and (not _is_punctuation(after) or not before.isalnum()):
                openers.setdefault(mark, []).append(start)
            if not before.isspace() and (not _is_punctuation(before) or not after.isalnum()):
                closers.setdefault(mark, []).append(start)
    live = {
        start
        for mark in openers.keys() & closers.keys()
        if openers[mark][0] < closers[mark][-1]
        for start in openers[mark] + closers[mark]
    }
    if _MATHS.search(text):
        live.update(match.start() for match in re.finditer(r"\$+", text))
    return live


def _neighbours(text: str, start: int, end: int) -> set[tuple[str, str]]:
    """The characters around a run, and those beyond tildes, past which cmark-gfm looks; ends are spaces."""

    def around(start: int, end: int) -> tuple[str, str]:
        return (text[start - 1] if start else " ", text[end] if end < len(text) else " ")

    left, right = start, end
    while left and text[left - 1] == "~":
        left -= 1
    while right < len(text) and text[right] == "~":
        right += 1
    return {around(start, end), around(left, right)}


def _is_punctuation(char: str) -> bool:
    """Whether every version of CommonMark calls it so; symbols are punctuation since 0.31 only."""
    return char in "$+<=>^`|~" or unicodedata.category(char)[0] == "P"
