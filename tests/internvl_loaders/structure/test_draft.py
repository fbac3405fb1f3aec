from __future__ import annotations

from functools import reduce

import pytest

from internvl_loaders.content import Span
from internvl_loaders.structure.draft import Draft
from internvl_loaders.structure.lines import Line
from internvl_loaders.structure.script import join_lines

WORDS = ["a", "well-", "known", "hyphen-", "ated", "word,", "漢字", "(and", "so", "on)", "every-", "where"]


def lines(count: int, words: int) -> list[Line]:
    return [
        Line([Span(WORDS[(n * 7 + k * 5) % len(WORDS)], 40 * k, 12 * n, 40 * k + 36, 12 * n + 10, 10, n)
              for k in range(words)])
        for n in range(count)
    ]  # fmt: skip


@pytest.mark.parametrize("words", [1, 2, 9])
def test_a_long_text_is_what_its_lines_joined_one_by_one_are(words: int) -> None:
    """Hyphens are undone and scripts told apart where a text is put aside in parts, too."""
    parts = lines(3000, words)
    seen = {"everywhere": 1, "hyphen-ated": 2}
    whole = reduce(lambda text, line: join_lines(text, line.text, seen), parts[1:], parts[0].text)
    assert len(whole) > 10_000
    assert Draft("paragraph", parts, hard_breaks=[False] * 2999).text(seen) == whole


def test_lines_that_end_on_purpose_stay_lines() -> None:
    parts = lines(3000, 5)
    draft = Draft("paragraph", parts, hard_breaks=[True] * 2999)
    assert draft.text() == "\n".join(line.text for line in parts)
