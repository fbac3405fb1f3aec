"""Page ranges as people write them: `2-5,9,12-`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from internvl_llm.errors import OptionError

_RANGE = re.compile(r"(\d{0,9})\s*(-?)\s*(\d{0,9})")


def page_ranges(text: str) -> list[tuple[int, int | None]]:
    """`2-5,9,12-` as [(2, 5), (9, 9), (12, None)]; raises OptionError on anything else."""
    ranges: list[tuple[int, int | None]] = []
    for part in text.split(","):
        match = _RANGE.fullmatch(part.strip())
        if not match or not (match[1] or match[3]):
            raise OptionError(f"not a page range: {part.strip()!r}", remedy="Write pages like 2-5,9 or 3-")
        start = int(match[1]) if match[1] else 1
        end = (int(match[3]) if match[3] else None) if match[2] else start
        if start < 1 or (end is not None and end < start):
            raise OptionError(f"not a page range: {part.strip()!r}", remedy="Pages count from 1, low to high")
        ranges.append((start, end))
    return ranges


def select_pages(text: str | None, total: int) -> Iterator[int]:
    """The 1-based pages of a document of `total` pages that `text` names, ascending, once each."""
    ranges = page_ranges(text) if text else [(1, None)]
    return (n for n in range(1, total + 1) if any(a <= n and (b is None or n <= b) for a, b in ranges))
