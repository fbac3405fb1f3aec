"""Joining lines and words, by script."""

import pytest

from internvl_loaders.content import Span
from internvl_loaders.structure.lines import join_spans
from internvl_loaders.structure.script import is_rtl, join_lines


@pytest.mark.parametrize(
    ("upper", "lower", "joined"),
    [
        ("a word", "and another", "a word and another"),
        ("an exam-", "ple follows", "an example follows"),
        ("an exam\u2010", "ple", "an example"),
        ("an exam\u00ad", "Ple", "an examPle"),
        ("Vor-", "und Nachname", "Vor- und Nachname"),
        ("Baden-", "Württemberg", "Baden-Württemberg"),
        ("2016-", "2017", "2016-2017"),
        ("a dash -", "here", "a dash - here"),
        ("标准模型", "说明", "标准模型说明"),
        ("日本語", "text", "日本語 text"),
        ("한국어", "문장", "한국어 문장"),
        ("", "alone", "alone"),
    ],
)
def test_lines(upper, lower, joined):
    assert join_lines(upper, lower) == joined


def test_a_hyphen_stays_where_the_page_speaks_for_a_compound():
    assert join_lines("a well-", "known fact", {"well-known": 1}) == "a well-known fact"
    assert join_lines("a well-", "known fact", {"well-known": 1, "wellknown": 2}) == "a wellknown fact"
    assert join_lines("in sequence-", "when played", {"sequence": 3, "when": 2}) == "in sequence-when played"
    assert join_lines("in sequence-", "when played", {"sequence": 3, "when": 1}) == "in sequencewhen played"


def spans(*placed, line=0):
    return [Span(text, x0, 0, x1, 10, 10, line) for text, x0, x1 in placed]


def test_words_of_one_line_are_apart_however_close():
    assert join_spans(spans(("tight", 0, 25), ("words", 25.2, 50))) == "tight words"


def test_pieces_of_several_lines_are_apart_if_a_gap_shows():
    a, b = spans(("3", 0, 5))[0], spans(("rd", 5.5, 15), line=1)[0]
    assert join_spans([a, b]) == "3rd"
    assert join_spans([a, spans(("rd", 8, 18), line=1)[0]]) == "3 rd"


def test_chinese_has_no_spaces_unless_the_gap_is_wide():
    assert (
        join_spans(spans(("平", 0, 10), ("成", 11, 21), ("2", 22, 27), ("6", 27, 32), ("年", 33, 43)))
        == "平成26年"
    )
    assert join_spans(spans(("甲", 0, 10), ("乙", 25, 35))) == "甲 乙"


def test_direction():
    assert is_rtl("مرحبا 12 world بالعالم")
    assert not is_rtl("the word שלום here")
    assert not is_rtl("12, 34")
