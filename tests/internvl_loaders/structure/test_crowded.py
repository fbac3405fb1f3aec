"""Pages that hold very much: time grows with what is on them, and nothing is lost."""

import random
from collections import Counter

import pytest

from internvl_loaders.content import Rect, Span
from internvl_loaders.readers.cover import hide_covered
from internvl_loaders.structure import structure
from internvl_loaders.structure.columns import _VALUE
from internvl_loaders.structure.script import join_lines, joined_lines
from tests.kit.crowded import KINDS, bullets, gaps, scattered, table
from tests.kit.growth import growth

LINEAR = 2.6**2
"""Times that four times the amount may take; sixteen where every word is held against every other."""


@pytest.mark.slow  # alone on the machine, as it is timed
@pytest.mark.parametrize("kind", KINDS)
def test_four_times_as_much_takes_four_times_as_long(kind):
    draw, most = KINDS[kind]
    amount = most // 4
    quarter, whole = draw(amount // 4), draw(amount)
    assert any(growth(lambda: structure(quarter), lambda: structure(whole)) < LINEAR for _ in range(3))


@pytest.mark.parametrize("draw", [bullets, gaps, scattered])
def test_crowded_pages_keep_every_word(draw):
    content = draw(3_000)
    blocks = structure(content, words=True)
    assert Counter(w.text for b in blocks for w in b.words) == Counter(s.text for s in content.spans)


def test_a_table_of_three_hundred_columns_is_one():
    (block,) = structure(table(8, 300))
    assert block.table is not None and (block.table.rows, block.table.cols) == (8, 300)
    assert block.table.grid()[7][299] == "7.299"


def test_long_texts_are_joined_as_short_ones():
    chance = random.Random(1)
    for words in (["ab", "cd-", "ef"], ["漢字", "かな"], ["ab\xad", "c-"]):
        lines = [" ".join(chance.choices(words, k=chance.randint(1, 9))) for _ in range(3_000)]
        whole = lines[0]
        for line in lines[1:]:
            whole = join_lines(whole, line)
        assert joined_lines(lines) == whole


@pytest.mark.parametrize(
    ("text", "is_value"),
    [("1,200.50", True), ("12 kg", True), ("$ 3", True), ("kg", False), ("-", False), ("12 pieces", False)],
)
def test_what_is_a_value_beside_a_label(text, is_value):
    assert (_VALUE.fullmatch(text) is not None) == is_value


def test_covered_text_is_found_as_one_by_one():
    chance = random.Random(2)

    def rect(side):
        x, y = chance.uniform(0, 90), chance.uniform(0, 90)
        return Rect(x, y, x + chance.uniform(0, side), y + chance.uniform(0, side))

    spans = [Span("a", *rect(4)) for _ in range(600)]
    painted = [(chance.choice(["text", "image"]), rect(30)) for _ in range(300)]

    def hidden(span):
        x, y = (span.x0 + span.x1) / 2, (span.y0 + span.y1) / 2
        over = [kind for kind, r in painted if r.x0 <= x <= r.x1 and r.y0 <= y <= r.y1]
        return bool(over) and over[-1] == "image"

    assert [s.hidden for s in hide_covered(spans, painted)] == [hidden(s) for s in spans]


@pytest.mark.slow  # alone on the machine, as it is timed
def test_covered_text_among_very_much_is_found_soon():
    def page(amount):
        rects = [Rect(n % 300 * 2, n // 300 * 2, n % 300 * 2 + 1, n // 300 * 2 + 1) for n in range(amount)]
        return [Span("a", *r) for r in rects], [
            ("image", Rect(0, 0, 600, 900)),
            *(("text", r) for r in rects),
        ]

    quarter, whole = page(5_000), page(20_000)
    assert any(
        growth(lambda: hide_covered(*quarter), lambda: hide_covered(*whole)) < LINEAR for _ in range(3)
    )
