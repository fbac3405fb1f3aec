"""Whether a model's growing answer is still about its page.

What repeats itself exactly is `repetition`'s; here stands what runs away without a period. Everything is
looked at once: the time taken is in proportion to the text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from internvl_loaders.transcribe.model import repetition

STEP = 64
"""Characters between two looks at a growing text."""

_WORD_LENGTH = 500
"""Letters and digits in a row that are no word, of scripts that part words."""
_UNENDED, _UNENDED_LIST = 3000, 8000
"""Characters without the end of a sentence, of a line or of a cell; of what commas part, and how close these
stand."""
_COMMA_EVERY = 60
_OFTEN = 256
"""Characters between two looks at how much of what is said is new."""
_LINE, _LINE_WORDS, _LINE_DISTINCT = 1000, 100, 0.4
"""Characters and words at the end of one line, and the share of distinct runs of three words among them below
which nothing new is said."""
_TAIL, _TAIL_WORDS, _TAIL_DISTINCT, _TAIL_LINE = 6000, 400, 0.15, 40
"""Likewise over lines, of four words, where these are so long on average: short ones are lists."""
_DIGITS = 0.02
"""Share of digits from which words may well be alike: it is the figures that tell something."""
_PARAGRAPH, _PARAGRAPH_WORDS, _PARAGRAPHS = 120, 15, 3
"""Characters and distinct words of a line that no page has so many times."""
_WITNESS_TIMES, _WITNESS_MORE, _WITNESS_LEAST = 2, 1000, 200
"""An answer has at most so many times the letters and digits that another reading of the page has, and some
more; below the least that reading saw too little to tell."""

_END = re.compile(r"[.!?…;:](?=[\s\"'”»)\]]|$)|[。！？；：।॥؟۔]|\n|<(?:br|/?t[rdh])\b|\||\\\\", re.IGNORECASE)
_BREAK = re.compile(r"\n|<(?:br|/?t[rdh])\b|\|", re.IGNORECASE)
_COMMA = re.compile(r"[,，、،]")
_SPACED = re.compile(r"[0-9A-Za-zÀ-෿Ⴀ-឵᠀-῿가-힯]*")
"""Letters of scripts that part words, and digits."""
_WORD = re.compile(r"[⺀-鿿豈-﫿぀-ヿ]|[^\W\d_]+")
_TABLE = re.compile(r"<t|\|", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Degeneration:
    """What went wrong with a text, from character `start` on; before it the text may be good."""

    start: int
    what: str


class Guard:
    """Holds an answer while it grows. `witness` is how many letters and digits another reading saw."""

    def __init__(self, witness: int | None = None) -> None:
        self.witness = witness
        self.reset()

    def reset(self) -> None:
        """For another answer."""
        self.tokens = 0
        """That came: pieces of the text, as engines tell them."""
        self._pending: list[str] = []
        self._size = self._checked = 0
        self._text = ""
        self._ended = self._broken = self._commas = 0
        """Where the last sentence, line or cell ended; the last line or cell; commas since."""
        self._line = self._said = 0
        self._paragraphs: Counter[str] = Counter()

    @property
    def text(self) -> str:
        if self._pending:
            text, self._text = self._text, ""  # the only name of it, so that it grows where it is
            text += "".join(self._pending)
            self._text = text
            self._pending.clear()
        return self._text

    def add(self, more: str) -> Degeneration | None:
        """What is wrong with the text so far; told once it may be known."""
        self._pending.append(more)
        self._size += len(more)
        self.tokens += 1
        while self._size - self._checked >= STEP:
            if found := self._look(self._checked + STEP):
                return found
        return None

    def close(self, *, stopped: bool = False) -> Degeneration | None:
        """What is wrong with the whole text; `stopped` is whether it was ended before its time."""
        if stopped and (loop := repetition.at_end(self.text, stopped=True)):
            return _endless(loop)
        found = self._look(self._size) if self._size > self._checked else None
        if found is None and not self._known(self._size):
            found = next(self._same_paragraphs(self.text + "\n", self._size + 1), None)
        return found

    def _look(self, size: int) -> Degeneration | None:
        text, since, self._checked = self.text, self._checked, size
        known = self._known(size)
        if loop := repetition.at_end(text, size, known=known):
            return _endless(loop)
        self._note(text, since, size)
        return next(self._runaways(text, since, size, known=known), None)

    def _known(self, size: int) -> bool:
        """Whether another reading has as much text as this."""
        return self.witness is not None and size <= self.witness

    def _note(self, text: str, since: int, size: int) -> None:
        """Where the new text ends and breaks; the character before it too, as its mark may have waited."""
        for found in _END.finditer(text, max(0, since - 1), size):
            self._ended, self._commas = found.end(), 0
        for found in _BREAK.finditer(text, since, size):
            self._broken = found.end()
        self._commas += len(_COMMA.findall(text, max(since, self._ended), size))

    def _runaways(self, text: str, since: int, size: int, *, known: bool) -> Iterator[Degeneration]:
        if size >= _WORD_LENGTH and _SPACED.fullmatch(text, size - _WORD_LENGTH, size):
            yield Degeneration(size - _WORD_LENGTH, "wrote one word without end")
        unended = size - self._ended
        most = _UNENDED_LIST if self._commas * _COMMA_EVERY >= unended else _UNENDED
        if unended >= most:
            told = f"wrote {unended:,} characters without the end of a sentence or line"
            yield Degeneration(self._ended, told)
        if size // _OFTEN > since // _OFTEN and not known:
            yield from self._poor_tails(text[max(0, size - _TAIL) : size], size)
        if not known:
            yield from self._same_paragraphs(text, size)
        yield from self._too_long(text, since, size)

    def _poor_tails(self, tail: str, size: int) -> Iterator[Degeneration]:
        if size - self._broken >= _LINE and _poor(tail[-_LINE:], 3, _LINE_WORDS, _LINE_DISTINCT):
            start = max(self._broken, size - _LINE)
            yield Degeneration(start, "wrote the same few words again and again")
        lines = tail.count("\n") * _TAIL_LINE <= _TAIL
        prose = lines and len(tail) == _TAIL and not _TABLE.search(tail)
        if prose and _poor(tail, 4, _TAIL_WORDS, _TAIL_DISTINCT):
            yield Degeneration(size - _TAIL, "wrote the same few sentences again and again")

    def _same_paragraphs(self, text: str, size: int) -> Iterator[Degeneration]:
        while (end := text.find("\n", self._line, size)) >= 0:
            line, start = text[self._line : end].strip(), self._line
            self._line = end + 1
            if len(line) < _PARAGRAPH or _TABLE.search(line):
                continue
            if len(set(_WORD.findall(line))) < _PARAGRAPH_WORDS:
                continue
            self._paragraphs[line] += 1
            if self._paragraphs[line] == _PARAGRAPHS:
                yield Degeneration(start, f"wrote the same paragraph {_PARAGRAPHS} times ({line[:40]!r})")

    def _too_long(self, text: str, since: int, size: int) -> Iterator[Degeneration]:
        """Markup counts a little, as a tag may be cut in two."""
        if self.witness is None or self.witness < _WITNESS_LEAST:
            return
        self._said += characters(text[since:size])
        if self._said > _WITNESS_TIMES * self.witness + _WITNESS_MORE:
            told = f"wrote {self._said:,} letters of a page that shows about {self.witness:,}"
            yield Degeneration(size, told)


def _endless(loop: repetition.Repetition) -> Degeneration:
    brief = " ".join(loop.unit.split())[:40]
    return Degeneration(loop.start + len(loop.unit), f"repeated itself ({brief!r} without end)")


def degeneration(text: str, witness: int | None = None) -> Degeneration | None:
    """What is wrong with a text, as it would have been told while it grew."""
    guard = Guard(witness)
    return guard.add(text) or guard.close()


def characters(text: str) -> int:
    """Letters and digits, besides those of tags."""
    return sum(map(str.isalnum, re.sub(r"<[^<>]*>", "", text)))


def _poor(text: str, size: int, least: int, share: float) -> bool:
    """Whether few of its runs of `size` words are distinct; not of what has few words."""
    if sum(map(str.isdigit, text)) > _DIGITS * len(text):
        return False
    words = _WORD.findall(text)
    runs = len(words) - size + 1
    return (
        len(words) >= least and len(set(zip(*(words[i:] for i in range(size)), strict=False))) < share * runs
    )
