"""Promises over arbitrary pages: nothing lost, nothing doubled, the same every time, in bounded time."""

import random
import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from internvl_loaders.content import Content, Rect, Ruling, Span
from internvl_loaders.structure import page, structure

LOOSE = set("-\u2010\u00ad")

texts = st.one_of(
    st.text("abcXYZ019.,:-()•*$ßé", min_size=1, max_size=12),
    st.sampled_from(
        [
            "1.",
            "a)",
            "(ii)",
            "•",
            "[3]",
            "Table",
            "Figure",
            "1:",
            "17",
            "漢字",
            "かな",
            "שלום",
            "hy-",
            "soft\u00ad",
        ]
    ),
)
coordinates = st.floats(-20, 620, allow_nan=False, width=32)


@st.composite
def contents(draw):
    ocr = draw(st.booleans())
    spans = []
    for n, text in enumerate(draw(st.lists(texts, max_size=40))):
        x, y, size = draw(coordinates), draw(coordinates), draw(st.sampled_from([0.0, 6, 10, 10, 10, 24]))
        spans.append(
            Span(
                text,
                x,
                y,
                x + draw(st.floats(0, 200, width=32)),
                y + draw(st.floats(0, 40, width=32)),
                size,
                draw(st.sampled_from([-1, n, n // 4])),
                bold=draw(st.booleans()),
                mono=draw(st.booleans()),
                superscript=draw(st.booleans()),
                upright=draw(st.integers(0, 5)) > 0,
                hidden=draw(st.booleans()),
                confidence=0.5 if ocr else None,
            )
        )
    rects = st.lists(
        st.builds(lambda x, y: Rect(x, y, x + 150, y + 90), coordinates, coordinates), max_size=3
    )
    rulings = st.lists(st.builds(lambda x, y: Ruling(x, y, x + 200, y), coordinates, coordinates), max_size=3)
    return Content(600, 600, spans, draw(rulings), draw(rects))


def characters(text):
    return Counter(c for c in text if not c.isspace() and c not in LOOSE)


@settings(max_examples=100, deadline=None)
@given(contents(), st.booleans())
def test_every_character_is_in_exactly_one_block(content, neighbour):
    def without_tables(c):
        return []

    original, page.find_tables = page.find_tables, without_tables
    try:
        blocks = structure(content, neighbours=[content] if neighbour else [], words=True)
    finally:
        page.find_tables = original
    read = "".join((b.marker or "") + b.text for b in blocks)
    assert characters(read) == characters("".join(s.text for s in content.spans))
    words = Counter(w.text for b in blocks for w in b.words)
    assert words == Counter(s.text for s in content.spans)


@settings(max_examples=40, deadline=None)
@given(contents())
def test_tables_lose_nothing_either_and_the_result_is_always_the_same(content):
    blocks = structure(content, words=True)
    assert Counter(w.text for b in blocks for w in b.words) == Counter(s.text for s in content.spans)
    assert blocks == structure(content, words=True)


@pytest.mark.slow
def test_twenty_thousand_scattered_words_take_seconds():
    chance = random.Random(3)
    spans = []
    for n in range(20_000):
        x, y = chance.uniform(0, 1980), chance.uniform(0, 1990)
        spans.append(Span(f"w{n}", x, y, x + chance.choice([8, 17]), y + 7, 7, n))
    start = time.process_time()
    blocks = structure(Content(2000, 2000, spans))
    assert sum(b.text.count("w") for b in blocks) == 20_000
    assert time.process_time() - start < 20
