"""What a reader should doubt in an answer: texts that models invent, copy from a prompt, or break off in."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from internvl_loaders.document import Block

_SUMMARY = re.compile(
    r"\W*(?:(?:a |the )?(?:brief |short |overall |key |quick )*(?:summary|summari[sz]ing|overview"
    r"|observations?|takeaways?"
    r"|highlights|insights|analysis|explanation|interpretation|conclusion|in summary|zusammenfassung"
    r"|résumé|resumen)\b"
    r"|总结|總結|摘要|小结|小結|概述|分析|说明)",
    re.IGNORECASE,
)
_FIGURE = re.compile(r"(?<![\w.,/-])[$€£¥]?\d[\d.,/-]*\d(?![\w])|(?<![\w.,/-])\d(?![\w.,/-])")
_PLACEHOLDER = re.compile(
    r"\[(?:REDACTED|REF|ID|NAME|ADDRESS|DATE|AMOUNT|NUMBER|VALUE|PHONE|EMAIL|ACCOUNT(?: NUMBER)?"
    r"|x1, ?y1, ?x2, ?y2|\.\.\.)\]"
    r"|\bNOT_FOUND\b|\{\{\s*\w+\s*\}\}|<(?:insert|your|value|placeholder)[ _-]?\w*>"
)
_KEY = re.compile(r"^[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*:", re.MULTILINE)
_LEFT_OUT = re.compile(
    r"[^\n|]{0,80}\b(?:(?:omitted|truncated|shortened|abbreviated) (?:for brevity|due to (?:length|space))"
    r"|for brevity|(?:remaining|other|more) (?:rows|entries|transactions|items|lines|text) "
    r"(?:are |is |have been )?(?:omitted|truncated|not shown|left out))\b[^\n|]{0,80}"
    r"|(?:其余|剩余)[^\n|]{0,20}(?:省略|略)[^\n|]{0,20}",
    re.IGNORECASE,
)
_UNREAD = re.compile(r"\[(?:illegible|unreadable|unclear|无法识别|無法辨識|看不清)\]", re.IGNORECASE)


def doubts(found: Sequence[Block], text: str) -> Iterator[str]:
    """In sentences, about the `found` blocks of the answer `text`. All of them stay."""
    if said := _invented_summary(found):
        yield said
    if copied := list(dict.fromkeys(_PLACEHOLDER.findall(text))):
        yield f"{', '.join(copied[:5])}: placeholders that a model may have put there"
    keys = _KEY.findall(text)
    if len(keys) > 2 and any("_" in key for key in keys) and 2 * len(keys) > text.strip().count("\n") + 1:
        twice = [key for key, count in Counter(keys).items() if count > 1]
        more = f"; {', '.join(twice[:5])} stand there more than once" if twice else ""
        yield f"the answer is a list of keys and values, whose keys the page may not have{more}"
    if left := _LEFT_OUT.search(text):
        yield f"the model may have left something of the page out ({' '.join(left[0].split())[:120]!r})"
    if count := len(_UNREAD.findall(text)):
        yield f"{count} places could not be read" if count > 1 else "one place could not be read"
    lines = text.rstrip().split("\n")[-2:]
    if (
        len(lines) == 2
        and lines[1].lstrip().startswith("|")
        and not lines[1].endswith("|")
        and lines[0].endswith("|")
    ):
        cell = lines[1].rpartition("|")[2].strip()
        yield f"the answer ends within a row of a table: {cell[:40]!r} may be cut off"


def _invented_summary(found: Sequence[Block]) -> str:
    """Of what stands last, after a table whose figures it repeats."""
    last_table = max((place for place, block in enumerate(found) if block.table is not None), default=None)
    if last_table is None:
        return ""
    after = found[last_table + 1 :]
    begins = next((place for place, block in enumerate(after) if _SUMMARY.match(block.text[:80])), None)
    if begins is None:
        return ""
    before = _figures(found[: last_table + 1])
    figures = _figures(after[begins:])
    if not figures & before:
        return ""
    title = " ".join(after[begins].text.split())[:60]
    what = f"{title!r}, after the last table, repeats it and may be the model's own"
    alone = sorted(figures - _figures([*found[: last_table + 1], *after[:begins]]))
    return f"{what}; {', '.join(alone[:5])} stand only there" if alone else what


def _figures(found: Sequence[Block]) -> set[str]:
    return {figure.rstrip(".,-/") for block in found for figure in _FIGURE.findall(block.text)}
