import pytest

from internvl_loaders.evaluate.metrics import (
    cer,
    edit_distance,
    is_upper_case,
    normalise,
    text_scores,
    word_scores,
    words,
)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("  a\t\tb\n\nc\fd ", "a b c d"),
        ("\ufb01nal \uff11\uff12 x\u00b2", "final 12 x2"),
        ("\u201cit\u2019s\u201d \u2013 \u2014 \u2212", '"it\'s" - - -'),
        ("soft\u00adhyphen \u200fmark\u200b", "softhyphen mark"),
        ("Maece\x02nas \ufffe", "Maecenas"),
        ("uni-\nque", "unique"),
        ("uni\u2010  \n  que", "unique"),
        ("Jean-\nPaul", "Jean- Paul"),
        ("2017-\n2018", "2017- 2018"),
        ("state-of-the-art", "state-of-the-art"),
        ("中文\n 文字 and 日本", "中文文字 and 日本"),
        ("e\u0301", "é"),
        ("Total . . . . . 5 ____ -- x", "Total ... 5 ___ -- x"),
    ],
)
def test_normalise(text: str, plain: str) -> None:
    assert normalise(text) == plain
    assert normalise(plain) == plain


def test_case_is_folded_only_on_request() -> None:
    assert normalise("Straße") == "Straße"
    assert normalise("Straße", fold_case=True) == "strasse"


@pytest.mark.parametrize(
    ("text", "upper"), [("TOTAL 5.00", True), ("Total", False), ("123", False), ("中文", False), ("", False)]
)
def test_is_upper_case(text: str, upper: bool) -> None:
    assert is_upper_case(text) is upper


def test_error_rates_of_kitten_and_sitting() -> None:
    # k->s, e->i, +g: 3 edits; 6 and 7 characters
    assert cer("kitten", "sitting") == 3 / 6
    assert edit_distance("kitten", "sitting") == pytest.approx(3 / 7)


def test_error_rate_may_pass_one_but_edit_distance_not() -> None:
    assert cer("a", "xyz") == 3
    assert edit_distance("a", "xyz") == 1


def test_empty_truth() -> None:
    assert (cer("", ""), cer("", "x")) == (0, 1)
    assert (edit_distance("", ""), edit_distance("", "x")) == (0, 1)
    assert word_scores("", "x") == {}


def test_words_keep_numbers_whole_and_drop_punctuation() -> None:
    assert words("Total: RM 1,136.00, on 10/03/2018 (a-b) don't.") == [
        *("Total", "RM", "1,136.00", "on", "10/03/2018", "a-b", "don't"),
    ]
    assert words("中文 ab、12") == ["中", "文", "ab", "、", "12"]


def test_word_scores_count_repeats() -> None:
    # in common: b twice; of 4 true and 5 read words
    scores = word_scores("a b b c", "b b b d e")
    assert scores == {"word_recall": 2 / 4, "word_f1": 2 * 2 / 9}


def test_order_of_words_does_not_matter_to_word_scores() -> None:
    assert word_scores("a b c", "c a b") == {"word_recall": 1, "word_f1": 1}


def test_case_counts_unless_truth_is_upper_case() -> None:
    assert text_scores("TOTAL 5", "Total 5") == {"cer": 0, "edit_distance": 0, "word_recall": 1, "word_f1": 1}
    assert text_scores("Total 5", "TOTAL 5")["cer"] == 4 / 7
