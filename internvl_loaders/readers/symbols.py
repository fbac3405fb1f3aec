"""Characters of fonts whose glyphs no Unicode map names: Symbol, Wingdings, and TeX's mathematics."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_SYMBOL = dict(
    zip(
        [*range(0x20, 0x7F), *range(0xA0, 0xFF)],
        " !∀#∃%&∋()∗+,−./0123456789:;<=>?≅ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ[∴]⊥_‾αβχδεφγηιϕκλμνοπθρστυϖωξψζ{|}∼"
        "€ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…⏐⎯↵ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓◊〈®©™∑⎛⎜⎝⎡⎢⎣⎧⎨⎩⎪ 〉∫⌠⎮⌡⎞⎟⎠⎤⎥⎦⎫⎬⎭",
        strict=True,
    )
)
"""Adobe's Symbol encoding (PDF 32000-1, annex D.5)."""

_WINGDINGS = {
    0x28: "☎", 0x2A: "✉", 0x6C: "●", 0x6E: "■", 0x6F: "□", 0x71: "❑", 0x72: "❒", 0x75: "◆", 0x76: "❖",
    0x77: "◆", 0x9E: "·", 0x9F: "•", 0xA7: "▪", 0xA8: "◻", 0xB7: "•", 0xD8: "➢", 0xE0: "→", 0xE8: "➔",
    0xF0: "⇨", 0xFB: "✗", 0xFC: "✓", 0xFD: "☒", 0xFE: "☑",
}  # fmt: skip
"""What word processors put before list items and into boxes to tick."""

_OMS = dict(
    enumerate(
        "−·×∗÷⋄±∓⊕⊖⊗⊘⊙◯∘•≍≡⊆⊇≤≥⪯⪰∼≈⊂⊃≪≫≺≻←→↑↓↔↗↘≃⇐⇒⇑⇓⇔↖↙∝′∞∈∋△▽\u0338↦∀∃¬∅ℜℑ⊤⊥ℵABCDEFGHIJKLMNOPQRSTUVWXYZ∪∩⊎∧∨"
        "⊢⊣⌊⌋⌈⌉{}⟨⟩|∥↕⇕\\≀√⨿∇∫⊔⊓⊑⊒§†‡¶♣♦♥♠"
    )
)
_OMX = dict(
    enumerate(
        "()[]⌊⌋⌈⌉{}⟨⟩|∥/\\()()[]⌊⌋⌈⌉{}⟨⟩/\\()[]⌊⌋⌈⌉{}⟨⟩/\\/\\⎛⎞⎡⎤⎣⎦⎢⎥⎧⎫⎩⎭⎨⎬⎪⏐⎝⎠⎜⎟⟨⟩⨆⨆∮∮⨀⨀⨁⨁⨂⨂∑∏∫⋃⋂⨄⋀⋁∑∏∫⋃⋂⨄⋀⋁∐∐"
        "^^^~~~[]⌊⌋⌈⌉{}√√√√"
    )
) | dict.fromkeys(range(0x7A, 0x7E), "")
"""The pieces of horizontal braces stand for nothing."""
_OML = {0x25: "ϱ", 0x26: "ς", 0x27: "φ", 0x40: "∂", 0x60: "ℓ", 0x7D: "℘"}
_AMS_A = {0x03: "□", 0x04: "■", 0x06: "◊", 0x07: "⧫", 0x36: "⩽", 0x3E: "⩾", 0x5D: "∡", 0x5E: "∢"}
_AMS_B = {0x28: "≨", 0x3F: "∅", 0x7E: "ϰ"}

_DINGBATS = {code: chr(0x2701 + code - 0x21) for code in range(0x21, 0x7F)} | {
    0x25: "☎", 0x2A: "☛", 0x2B: "☞", 0x48: "★", 0x6C: "●", 0x6E: "■", 0x73: "▲", 0x74: "▼", 0x75: "◆",
    0x77: "◗",
}  # fmt: skip

_FONTS = (
    (re.compile(r"dingbats", re.IGNORECASE), _DINGBATS),
    (re.compile(r"symbol", re.IGNORECASE), _SYMBOL),
    (re.compile(r"(CM|LM|EU|TX|PX)\w*SY", re.IGNORECASE), _OMS),
    (re.compile(r"(CM|LM|TX|PX)\w*EX", re.IGNORECASE), _OMX),
    (re.compile(r"(CM|LM)\w*MI", re.IGNORECASE), _OML),
    (re.compile(r"MSAM", re.IGNORECASE), _AMS_A),
    (re.compile(r"MSBM", re.IGNORECASE), _AMS_B),
)
_PRIVATE = 0xF000
"""Microsoft's private place of symbol fonts' codes."""


_PIECES = dict(zip(range(0xF8E6, 0xF8FF), "⏐⎯®©™⎛⎜⎝⎡⎢⎣⎧⎨⎩⎪⎮⎞⎟⎠⎤⎥⎦⎫⎬⎭", strict=True))
"""Adobe's private places for the pieces of tall brackets."""


_DINGBAT_NUMBERS = (
    {10: 0x41, 75: 0x71}
    | {n: n + 31 for n in range(11, 17)}
    | {n: n + 32 for n in range(17, 29)}
    | {n: n + 37 for n in range(29, 75)}
    | {n: n + 39 for n in range(76, 80)}
    | {n: n + 38 for n in range(81, 85)}
)


@lru_cache(256)
def is_dingbats(font: str) -> bool:
    return "dingbats" in font.lower()


def dingbat(char: str) -> str:
    """`char`, unless it is but the number in a name such as a20, as ZapfDingbats calls its glyphs."""
    if char == " " or char >= "\xcc":
        return char
    return _DINGBATS.get(_DINGBAT_NUMBERS.get(ord(char), 0), "\ufffd")


@lru_cache(256)
def has_codes(font: str) -> bool:
    """Whether `unmapped` can know the codes of a font of that name."""
    return any(pattern.search(font) for pattern, _ in _FONTS)


def unmapped(font: str, code: int) -> str:
    """The character of `code` in a font of that name; U+FFFD where it is none of these."""
    known = next((glyphs for pattern, glyphs in _FONTS if pattern.search(font)), {})
    return known.get(code, "\ufffd")


def mended(text: str, font: str) -> str:
    """Private codes of symbol fonts as characters; TeX's composed relations as the one they show."""
    if any("\uf020" <= c <= "\uf0ff" for c in text):
        known = _SYMBOL if re.search("symbol", font, re.IGNORECASE) else _WINGDINGS
        text = "".join([known.get(ord(c) - _PRIVATE, c) for c in text])
    if "\u0338" in text:
        text = unicodedata.normalize("NFC", re.sub("\u0338([^\\w\\s])", "\\1\u0338", text))
    return text.translate(_PIECES).replace("↦→", "↦")
