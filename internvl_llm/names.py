"""Names and text from outside: as they may stand on a screen, in data, and in a folder of any filesystem."""

from __future__ import annotations

import re
import unicodedata

MAX_NAME = 230
"""Bytes of a file's name, so that suffixes stay within the 255 of common filesystems."""

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_JOINERS = frozenset("\u200c\u200d")
"""Of Persian, of Indian scripts and of emoji: they are part of words, and move nothing else."""
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_OBEYED_IN_JSON = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_FORBIDDEN = frozenset('<>:"|?*/\\')
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])(?= *(?:\.|$))", re.IGNORECASE)
"""What Windows takes for a device, whatever follows the dot."""


def on_screen(name: str) -> str:
    """On one line, with escapes for what a terminal would obey, what turns the line around, and what nobody
    sees: for a file name, a URL, a message that holds one."""
    if name.isprintable():
        return name
    return "".join(_escape(char) if _is_unseen(char) else char for char in name)


def printable(text: str) -> str:
    """Text of several lines, without what a terminal would obey and what turns a line around."""
    return _OBEYED.sub("", text)


def plain_json(text: str) -> str:
    """The same JSON, with escapes for what a terminal would obey."""
    return _OBEYED_IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def encodable(name: str) -> str:
    """As UTF-8 can carry it; what a file's name has that is no UTF-8 is written as an escape."""
    return name.encode("utf-8", "backslashreplace").decode()


def file_name(part: str) -> str:
    """A part of a path as every filesystem takes it, of at most `MAX_NAME` bytes; empty for `.` and `..`."""
    part = "".join("\0" if char in _FORBIDDEN or _is_unseen(char) else char for char in part)
    part = re.sub("\0+", "-", part).strip(" ").rstrip(" .")
    part = _RESERVED.sub(r"\1-", part, count=1) if _RESERVED.match(part) else part
    if len(part.encode()) <= MAX_NAME:
        return part
    _, dot, suffix = part.rpartition(".")
    end = f".{suffix}" if dot and len(suffix.encode()) < 20 else ""
    return part.encode()[: MAX_NAME - len(end.encode())].decode("utf-8", "ignore").rstrip(" .") + end


def same_name(name: str) -> str:
    """Alike for names that some filesystem takes for one: of another case, composed otherwise (NFC, NFD)."""
    folded = unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())
    return "".join(char for char in folded if unicodedata.category(char) != "Cf")


def _is_unseen(char: str) -> bool:
    if unicodedata.category(char) in _UNSEEN:
        return char not in _JOINERS
    return ord(char) & 0xFFFE == 0xFFFE or "\ufdd0" <= char <= "\ufdef"  # noncharacters


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode()
