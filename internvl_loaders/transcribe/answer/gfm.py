"""Which lines of an answer are rows of a markdown table, and rows that were broken over lines whole again."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

DELIMITER = re.compile(r"\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*")
_BAR = re.compile(r"(?<!\\)\|")
_MOST_PIECES = 6
"""Lines that one row may be broken into."""


def table_runs(lines: Sequence[str], notes: list[str]) -> Iterator[tuple[bool, list[str]]]:
    """Lines of one table, and lines between tables."""
    lines = _rejoined(lines, notes)
    piped = [line.lstrip().startswith("|") for line in lines]
    for place in range(1, len(lines)):
        if _heads(lines, place):
            row = place - 1
            while row < len(lines) and "|" in lines[row] and not piped[row]:
                piped[row] = True
                row += 1
    for is_piped, run in groupby(zip(piped, lines, strict=True), key=lambda pair: pair[0]):
        run_lines = [line for _, line in run]
        yield is_piped and len(run_lines) > 1, run_lines


def cells(line: str) -> list[str]:
    parts = _BAR.split(line.strip().removeprefix("|"))
    if len(parts) > 1 and not parts[-1].strip():
        parts.pop()
    return parts


def _heads(lines: Sequence[str], place: int) -> bool:
    """Whether the line is the delimiter below a table's head."""
    return place > 0 and "|" in lines[place - 1] and is_delimiter(lines, place)


def is_delimiter(lines: Sequence[str], place: int) -> bool:
    """Further down, single dashes are cells in which nothing is."""
    line = lines[place]
    return (
        "|" in line
        and bool(DELIMITER.fullmatch(line))
        and ("--" in line or place < 2 or "|" not in lines[place - 2])
    )


def _closed(line: str) -> bool:
    return bool(re.search(r"(?<!\\)\|\s*\Z", line))


def _rejoined(lines: Sequence[str], notes: list[str]) -> list[str]:
    """With each row of a table that has a head on one line, and no blank ones between rows."""
    found: list[str] = []
    cols = joined = parted = 0
    place = 0
    while place < len(lines):
        line = lines[place]
        if found and "|" in found[-1] and is_delimiter(lines, place):
            cols = len(cells(line))
            joined += _rejoin_head(found, cols)
            found.append(line)
            place += 1
            continue
        if cols == 0 and place + 1 < len(lines) and _are_alike(line, lines[place + 1]):
            cols = len(cells(line))
        if cols == 0:
            found.append(line)
            place += 1
            continue
        if not line.strip():
            after = _next_row(lines, place, cols)
            if after is None:
                cols = 0
                found.append(line)
                place += 1
            else:
                place = after
                parted += 1
            continue
        if line.strip() == "|":  # of the row below, or behind a delimiter
            place += 1
            if place < len(lines) and len(cells(lines[place])) == cols - 1 and _closed(lines[place]):
                found.append(f"| {lines[place].lstrip()}")
                joined += 1
                place += 1
            continue
        if "|" not in line:
            cols = 0
            found.append(line)
            place += 1
            continue
        row, place = _row(lines, place, cols)
        joined += row != line
        found.append(row)
    if joined:
        what = "a row of a table that was" if joined == 1 else f"{joined} rows of a table that were"
        notes.append(f"{what} broken over lines joined again")
    if parted:
        notes.append("blank lines between the rows of a table were left out")
    return found


def _are_alike(line: str, other: str) -> bool:
    """Whether these are two rows of a table that has no head."""
    both = (line, other)
    return all(one.lstrip().startswith("|") and _closed(one) for one in both) and len(cells(line)) == len(
        cells(other)
    )


def _rejoin_head(found: list[str], cols: int) -> int:
    """The head above a delimiter, where it was broken."""
    for count in range(2, _MOST_PIECES + 1):
        pieces = found[-count:]
        if len(pieces) < count or not all(piece.strip() for piece in pieces) or len(cells(found[-1])) >= cols:
            return 0
        whole = " ".join(piece.strip() for piece in pieces)
        if pieces[0].lstrip().startswith("|") and len(cells(whole)) == cols and _closed(whole):
            found[-count:] = [whole]
            return 1
    return 0


def _next_row(lines: Sequence[str], place: int, cols: int) -> int | None:
    """The next line but blank ones, where that is a row of the same table: no other begins there."""
    while place < len(lines) and not lines[place].strip():
        place += 1
    if place == len(lines) or not lines[place].lstrip().startswith("|"):
        return None
    if len(cells(lines[place])) != cols or (place + 1 < len(lines) and _heads(lines, place + 1)):
        return None
    return place


def _row(lines: Sequence[str], place: int, cols: int) -> tuple[str, int]:
    """The row that begins there, and the line after it."""
    row = lines[place]
    if not row.lstrip().startswith("|") or (len(cells(row)) >= cols and _closed(row)):
        return row, place + 1
    for after in range(place + 1, min(place + _MOST_PIECES, len(lines))):
        line = lines[after]
        # An empty cell at the seam: the blank beside it stands where no other row has one.
        goes_on = (line[:1].isspace() and not lines[place][:1].isspace()) or (
            lines[after - 1][-1:].isspace() and not lines[place - 1][-1:].isspace()
        )
        begins = line.lstrip().startswith("|") and line.strip() != "|" and not goes_on
        if not line.strip() or (begins and _closed(row)):
            break
        if after + 1 < len(lines) and _heads(lines, after + 1):
            break
        if begins and len(cells(line)) >= cols:
            break
        row = f"{row.rstrip()} {line.strip()}"
        count = len(cells(row))
        if count > cols:
            break
        if count == cols and _closed(row):
            return row, after + 1
    return lines[place], place + 1
