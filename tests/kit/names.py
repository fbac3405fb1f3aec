"""File names that strangers may send: Linux allows every one of them."""

from __future__ import annotations

import os
import unicodedata

CONTROLS = [chr(code) for code in (*range(1, 0x20), *range(0x7F, 0xA0))]
BIDI = [chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))]
UNSEEN = ["\u200b", "\u200e", "\u2028", "\u2029", "\u2060", "\u00ad", "\ufeff", "\U000e0041"]
RESERVED = ["CON", "nul", "Aux", "PRN", "COM1", "lpt9", "COM¹", "CONIN$", "con .x", "NUL.tar"]
UNDECODABLE = [os.fsdecode(raw) for raw in (b"a\xff", b"a\xfe", b"\xe9t\xe9", b"\xed\xa0\x80", b"\xc3")]
TWINS = [
    *("Invoice", "invoice", "INVOICE"),
    *(unicodedata.normalize("NFC", "Größe é"), unicodedata.normalize("NFD", "Größe é")),
    *("straße", "strasse", "ﬁ", "fi"),
]
FORGING = [
    "ok\nfailed b.pdf: it broke",
    "a\r\x1b[2K\x1b[1Ainternvl: all ok",
    "\x1b]0;title\x07",
    "\u009b31mred",
    "\u202efdp.exe",
    "[red]markup[bold] [x]",
    "<script>alert(1)<",
    "--debug",
    "-o",
    "$(touch x);`touch y`",
    "%s %d {0} {x}",
    "a\\..\\..\\b",
    "*?[x]",
    "=1+1",
    " leading",
    "trailing ",
    "dots...",
    "a. . .",
    "...x",
    "~",
    "'quoted\"",
    "a:b|c<d>e",
    "x" * 240,
    "ü" * 120,
    "家" * 80,
    "👨\u200d👩\u200d👧",
    "می\u200cخواهم",
]
HOSTILE: list[str] = [
    *(f"a{char}b" for char in (*CONTROLS, *BIDI, *UNSEEN)),
    *(*RESERVED, *UNDECODABLE, *TWINS, *FORGING),
]
