"""Page ranges as people write them: `2-5,9,12-`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from internvl_llm.errors import OptionError

_LONGEST = 10_000
"""Characters."""
_RANGE = re.compile(r"(\d{0,9})(?:\s*(-)\s*(\d{0,9}))?")


def page_ranges(text: str) -> list[tuple[int, int | None]]:
    """`2-5,9,12-` as [(2, 5), (9, 9), (12, None)]; raises OptionError on anything else."""
    ranges: list[tuple[int, int | None]] = []
    if len(text) > _LONGEST:
        raise OptionError(f"a page range of {len(text):,} characters", remedy="Write pages like 2-5,9 or 3-")
    for part in text.split(","):
        match = _RANGE.fullmatch(part.strip())
        if not match or not (match[1] or match[3]):
            raise OptionError(
                f"not a page range: {part.strip()[:100]!r}", remedy="Write pages like 2-5,9 or 3-"
            )
        start = int(match[1]) if match[1] else 1
        end = (int(match[3]) if match[3] else None) if match[2] else start
        if start < 1 or (end is not None and end < start):
            raise OptionError(f"not a page range: {part.strip()!r}", remedy="Pages count from 1, low to high")
        ranges.append((start, end))
    return ranges


def select_pages(text: str | None, total: int) -> Iterator[int]:
    """The 1-based pages of a document of `total` pages that `text` names, ascending, once each."""
    ranges = page_ranges(text) if text else [(1, None)]
    last = 0
    for start, end in sorted(ranges, key=lambda one: one[0]):
        stop = total if end is None else min(end, total)
        yield from range(max(start, last + 1), stop + 1)
        last = max(last, stop)


def absent_pages(text: str | None, total: int) -> str:
    """What `text` names that a document of `total` pages does not have, as it is written: `50,60-`.

    An open range is absent only as a whole.
    """
    absent = []
    for start, end in page_ranges(text) if text else []:
        first = max(start, total + 1)
        if end is None and start > total:
            absent.append(f"{start}-")
        elif end is not None and end > total:
            absent.append(str(end) if first == end else f"{first}-{end}")
    return ",".join(dict.fromkeys(absent))


def lacks(total: int, absent: str) -> str:
    """The sentence about `absent_pages`."""
    return f"has {total} page{'s' * (total != 1)}, not {absent[:100]}"


def last_page(text: str | None, total: int) -> int:
    """The last page that `select_pages` gives; 0 where it gives none."""
    ranges = page_ranges(text) if text else [(1, None)]
    return max(
        (total if end is None else min(end, total) for start, end in ranges if start <= total), default=0
    )
