"""What a piece of text is, by its wording: list item, caption, numbered heading, footnote."""

from __future__ import annotations

import re
from typing import NamedTuple

_BULLETS = "•‣◦⁃∙▪▫■□●○◆◇◘◉▶►▸➢➤➔→✓✔✗✘☐☑☒★☆❖❑❒❍※\uf0b7\uf0a7\uf0d8\uf0fc\uf076\uf0a8\uf06e\uf071\uf02d\uf0be"
_DASHES = "-–—−*·"
_BULLET = re.compile(rf"([{_BULLETS}])\s*(?=\S)|([{_DASHES}]|\[[ xX✓]\])\s+(?=\S)")
_ORDINAL = re.compile(
    r"(\(?)(\d{1,3}|[A-Za-z]|[ivx]{2,5}|[IVX]{2,5})([.)])(?:\s+(?=\S)|(?=[\u3400-\u9fff]))|\[(\d{1,3})\]\s+(?=\S)"
)
_CAPTION = re.compile(
    r"(?:fig(?:ure|\.)?|table|tab\.|abb(?:ildung|\.)|tabelle|tableau|figura|tabla|scheme|chart|exhibit|plate"
    r"|listing|algorithm|algorithmus|рис(?:унок|\.)|таблица)\s*(?:[A-Z]?\d+(?:[.\-–]\d+)*[a-z]?|[IVX]+\b)|[图圖表図]\s*\d+",
    re.IGNORECASE,
)
_NUMBERED = re.compile(
    r"(?:(\d{1,2}(?:\.\d{1,2})+)\.?|(?:\d{1,2}|[IVX]{1,5}|[A-Z])\.?"
    r"|(?:chapter|kapitel|section|part|teil|appendix|anhang)\s+[\dA-ZIVX.]+:?)\s+(?=\S)",
    re.IGNORECASE,
)
_NUMBERED_CJK = re.compile(
    r"(第[一二三四五六七八九十百\d]+[章编編篇])|(第[一二三四五六七八九十百\d]+[节節]|[一二三四五六七八九十]{1,3}、)"
    r"|([（(][一二三四五六七八九十]{1,3}[）)])"
)
_FOOTNOTE = re.compile(r"(?:\(?\d{1,3}[.)]?|[*†‡§¶]{1,3}|[a-z]\))\s*(?=\S)")
_WORD = re.compile(r"[^\W\d_]{3}|[\u3040-\u30ff\u3400-\u9fff]{2}")
_AMOUNT = re.compile(r"[$€£¥₹]\s?\d|\d[.,]\d\d(?!\d|\.\d)|\d\s?[$€£¥₹]")
_LABEL = re.compile(r"[^:：]{1,24}[:：]\s*\S.{0,30}|[(（][^()（）]*[)）]")
_LEADER = re.compile(r"(?:\.\s?){4,}|(?:…\s?){2,}|_{4,}")


_DINGBATS = re.compile("dingbat|wingding|symbol|webding|marlett", re.IGNORECASE)


class Marker(NamedTuple):
    """A list marker: as printed, how many characters it takes, and for counted lists what counts
    (`1.`, `a)`, `(i)` …) and the values it may stand for."""

    text: str
    end: int
    style: str
    values: tuple[int, ...]

    @property
    def counted(self) -> bool:
        return bool(self.values)


def marker_of(text: str) -> Marker | None:
    if match := _BULLET.match(text):
        return Marker((match[1] or match[2]), match.end(), match[1] or match[2], ())
    if match := _ORDINAL.match(text):
        if match[4]:
            return Marker(f"[{match[4]}]", match.end(), "[1]", (int(match[4]),))
        body = match[2]
        values = []
        if body.isdigit():
            values, kind = [int(body)], "1"
        else:
            kind = "a" if body.islower() else "A"
            if len(body) == 1:
                values.append(ord(body.lower()) - 96)
            if (roman := _roman(body.lower())) is not None and roman not in values:
                values.append(roman)
        if values:
            return Marker(match[0].rstrip(), match.end(), f"{match[1]}{kind}{match[3]}", tuple(values))
    return None


def is_dingbat(char: str, font: str, next_font: str) -> bool:
    """A lone character, set off, that can only be a bullet: of a symbol font, or of a font of its
    own and no letter of the alphabet (a bullet whose Unicode value is wrong)."""
    if _DINGBATS.search(font):
        return True
    return font != next_font and not (char.isascii() and char.isalnum())


def follows(marker: Marker, last: Marker) -> bool:
    """Whether a list could go on with `marker` after `last`."""
    if marker.style != last.style:
        return False
    return not marker.counted or any(v == w + 1 for v in marker.values for w in last.values)


def _roman(text: str) -> int | None:
    digits = {"i": 1, "v": 5, "x": 10}
    if any(c not in digits for c in text):
        return None
    numbers = [digits[c] for c in text]
    return sum(-n if n < m else n for n, m in zip(numbers, [*numbers[1:], 0], strict=True))


def is_caption(text: str) -> bool:
    return _CAPTION.match(text) is not None


def is_set_off_caption(text: str) -> bool:
    """A caption by its punctuation (`Table 3: …`), which a sentence on a table has not."""
    match = _CAPTION.match(text)
    return match is not None and (not (rest := text[match.end() :].lstrip()) or rest[0] in ":.|–—-：．")


def is_numbered(text: str) -> bool:
    """Begins as numbered headings do."""
    return _NUMBERED.match(text) is not None or _NUMBERED_CJK.match(text) is not None


def number_depth(text: str) -> int:
    """2 for `3.1 …`, 3 for `3.1.4 …`, 1 to 3 for `第三章`, `三、`, `（三）`; else 0."""
    if match := _NUMBERED_CJK.match(text):
        return match.lastindex or 0
    match = _NUMBERED.match(text)
    return match[1].count(".") + 1 if match and match[1] else 0


def is_number_heading(text: str) -> bool:
    """So short a numbered title that it is a heading whatever its font."""
    if len(text) > 60 or text[-1] in ".,;:。，；：、":
        return False
    return number_depth(text) > 1 or _NUMBERED_CJK.match(text) is not None


def is_footnote_mark(text: str) -> bool:
    return _FOOTNOTE.match(text) is not None


def is_label(text: str) -> bool:
    """`Label: value`, or a remark in parentheses."""
    return _LABEL.fullmatch(text) is not None


def has_leader(text: str) -> bool:
    """Dots or a blank line to fill in, as in tables of contents and forms."""
    return _LEADER.search(text) is not None


def has_word(text: str) -> bool:
    return _WORD.search(text) is not None


def has_amount(text: str) -> bool:
    """Holds a sum of money."""
    return _AMOUNT.search(text) is not None


def letter_share(text: str) -> float:
    """Letters among letters and digits."""
    letters = sum(map(str.isalpha, text))
    digits = sum(map(str.isdigit, text))
    return letters / (letters + digits) if letters + digits else 0.0
