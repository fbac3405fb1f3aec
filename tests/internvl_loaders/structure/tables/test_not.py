"""What stands in columns and is no table, and pages made to cost time."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from internvl_loaders.content import Content, Ruling, Span
from internvl_loaders.structure.tables.find import MAX_SPANS, find_tables
from tests.kit.growth import as_on_reference
from tests.kit.typeset import PROSE, Setter, numbered


def two_columns(page: Setter) -> None:
    page.prose(numbered("l"), 50, 80, 230)
    page.prose(numbered("r"), 320, 80, 230)


def three_columns(page: Setter) -> None:
    for x in (40, 225, 410):
        page.prose(PROSE * 2, x, 80, 160)


def numbered_list(page: Setter) -> None:
    for n in range(1, 9):
        page.line(f"{n}.", 60, 100 + n * 14)
        page.line("wash the cloth and hang it out", 90, 100 + n * 14)


def contents(page: Setter) -> None:
    for n, title in enumerate(["Preface", "The river", "The old town", "Timber", "Meadows", "Harvest"]):
        page.line(title, 60, 100 + n * 16)
        page.line("." * 50, 160, 100 + n * 16)
        page.line(str(3 + n * 11), 480, 100 + n * 16)


def numbered_contents(page: Setter) -> None:
    for n, title in enumerate(["Preface", "The river", "The old town", "Timber", "Meadows", "Harvest"]):
        page.line(f"{n + 1}.", 60, 100 + n * 16)
        page.line(title, 90, 100 + n * 16)
        page.line(str(3 + n * 11), 480, 100 + n * 16)


def references(page: Setter) -> None:
    y = 100.0
    for n in range(1, 7):
        page.line(f"[{n}]", 50, y)
        y = page.prose(PROSE[:24], 80, y, 440) + 2


def form(page: Setter) -> None:
    labels = {
        "Name:": "Anna Berg",
        "Street:": "Quay 7",
        "Town:": "Lund",
        "Number:": "549910",
        "Date:": "05.03.2018",
    }
    for n, (label, value) in enumerate(labels.items()):
        page.line(label, 60, 100 + n * 15)
        page.line(value, 180, 100 + n * 15)


def addresses(page: Setter) -> None:
    for n, (a, b) in enumerate(
        [("Anna Berg", "Timber House Ltd"), ("Quay 7", "Bridge Street 12"), ("22100 Lund", "4000 Basel")]
    ):
        page.line(a, 60, 100 + n * 13)
        page.line(b, 330, 100 + n * 13)


def equations(page: Setter) -> None:
    for n in range(1, 5):
        page.line("f ( x ) = a x + b", 220, 100 + n * 40)
        page.line(f"({n})", 530, 100 + n * 40)


def chart(page: Setter) -> None:
    for n, tick in enumerate([80, 60, 40, 20, 0]):
        page.line(str(tick), 60, 100 + n * 40)
        page.content.rulings.append(Ruling(80, 105 + n * 40, 480, 105 + n * 40))
    for n, (year, value) in enumerate([(1990, 120), (1995, 170), (2000, 235), (2005, 140), (2010, 200)]):
        page.line(str(year), 90 + n * 80, 280)
        page.line(str(30 + n), 95 + n * 80, value)
    page.content.rulings.append(Ruling(80, 100, 80, 270))


def screenplay(page: Setter) -> None:
    for n in range(6):
        page.line("ANNA", 260, 90 + n * 60)
        page.prose(PROSE[:12], 170, 104 + n * 60, 220)


def frame(page: Setter) -> None:
    for x in (40, 560):
        page.content.rulings.append(Ruling(x, 60, x, 700))
    for y in (60, 700):
        page.content.rulings.append(Ruling(40, y, 560, y))
    page.prose(PROSE * 6, 60, 80, 480)


@pytest.mark.parametrize(
    "draw",
    [
        two_columns,
        three_columns,
        numbered_list,
        contents,
        numbered_contents,
        references,
        form,
        addresses,
        equations,
        chart,
        screenplay,
        frame,
    ],
)
def test_no_table(draw):
    page = Setter()
    draw(page)
    assert [t.table.grid() for t in find_tables(page.content)] == []


def test_no_words_no_table():
    assert find_tables(Content(600, 800)) == []
    assert find_tables(Content(0, 0, [Span(" ", 1, 1, 1, 1)], [Ruling(0, 0, 9, 0)])) == []


def _scattered(rng: random.Random, amount: int, side: float) -> list[Span]:
    spans = []
    for _ in range(amount):
        x, y = rng.random() * side, rng.random() * side
        spans.append(Span("ab12", x, y, x + 12, y + 6, 6))
    return spans


def _dense(rng: random.Random) -> Content:
    spans = [
        Span("1234", 10 + c * 30, 10 + r * 9, 22 + c * 30, 16 + r * 9, 6)
        for r in range(130)
        for c in range(60)
    ]
    return Content(2000, 1200, spans)


def _scatter(rng: random.Random) -> Content:
    return Content(2000, 2000, _scattered(rng, MAX_SPANS, 2000))


def _mesh(rng: random.Random) -> Content:
    rulings = [Ruling(10, 10 + i * 2, 1990, 10 + i * 2) for i in range(990)]
    rulings += [Ruling(10 + i * 2, 10, 10 + i * 2, 1990) for i in range(990)]
    return Content(2000, 2000, _scattered(rng, 4000, 2000), rulings)


def _strokes(rng: random.Random) -> Content:
    rulings = []
    for i in range(39_000):
        x, y, d = rng.random() * 1000, rng.random() * 1000, rng.random() * 100
        rulings.append(Ruling(x, y, x + d, y) if i % 2 else Ruling(x, y, x, y + d))
    return Content(1000, 1000, _scattered(rng, 4000, 1000), rulings)


def _stack(rng: random.Random) -> Content:
    spans = [
        Span("ab12", 10 + c * 60, 12 + r * 20, 22 + c * 60, 18 + r * 20, 6)
        for r in range(600)
        for c in range(13)
    ]
    return Content(1000, 12_100, spans, [Ruling(10, 10 + i * 20, 990, 10 + i * 20) for i in range(600)])


@pytest.mark.slow  # alone on the machine, as it is timed
@pytest.mark.parametrize("draw", [_dense, _scatter, _mesh, _strokes, _stack])
def test_hostile_pages_cost_little(draw):
    content = draw(random.Random(1))
    assert any(as_on_reference(lambda: find_tables(content)) < 2 for _ in range(4))


def test_more_words_than_a_page_holds_are_left_alone():
    words = [
        Span("1", 10 + i % 90 * 6, 10 + i // 90 * 8, 13 + i % 90 * 6, 16 + i // 90 * 8, 6)
        for i in range(MAX_SPANS + 1)
    ]
    assert find_tables(Content(600, 900, words)) == []


_length = st.floats(0, 300, allow_nan=False)
_spans = st.builds(
    lambda text, x, y, w, h, size: Span(text, x, y, x + w, y + h, size=size),
    st.text("aA1., $%-()|:…é中\u0600 ", max_size=8),
    _length,
    _length,
    st.floats(0, 60),
    st.floats(0, 20),
    st.sampled_from([0.0, 6.0, 10.0]),
)
_rulings = st.builds(
    lambda x, y, d, flat: Ruling(x, y, x + d, y) if flat else Ruling(x, y, x, y + d),
    _length,
    _length,
    _length,
    st.booleans(),
)


@settings(max_examples=80, deadline=None)
@given(st.lists(_spans, max_size=40), st.lists(_rulings, max_size=12))
def test_any_page_keeps_every_character_once(spans, rulings):
    content = Content(300, 300, spans, rulings)
    used: set[int] = set()
    for found in find_tables(content):
        assert used.isdisjoint(found.spans)
        used |= found.spans

        def letters(texts):
            return Counter(c for t in texts for c in t if c.isalnum())

        assert letters(spans[i].text for i in found.spans) == letters(c.text for c in found.table.cells)
