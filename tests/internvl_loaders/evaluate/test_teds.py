import pytest
from apted import APTED
from hypothesis import given, settings
from hypothesis import strategies as st

from internvl_loaders.evaluate import teds as module
from internvl_loaders.evaluate.tables import TableCell, TableTree, read_tables
from internvl_loaders.evaluate.teds import table_scores, teds


def table(markup: str) -> TableTree:
    (found,) = read_tables(f"<table>{markup}</table>")
    return found


def rows(*texts: str, page: int | None = None) -> TableTree:
    """Cells apart by `|`."""
    return TableTree(tuple(tuple(TableCell(t) for t in row.split("|")) for row in texts), page)


def test_equal_tables() -> None:
    assert teds(rows("a|b", "c|d"), rows("a|b", "c|d")) == 1


def test_one_letter_of_four_wrong_in_one_cell() -> None:
    # 2 rows + 4 cells = 6 nodes; one rename of 1/4
    assert teds(rows("abcd|b", "c|d"), rows("abce|b", "c|d")) == pytest.approx(1 - 0.25 / 6)


def test_empty_cell_against_text_costs_one() -> None:
    assert teds(rows("abcd|b"), rows("|b")) == pytest.approx(1 - 1 / 3)


def test_missing_row() -> None:
    # the row and its two cells of 3 * 3 nodes
    assert teds(rows("a|b", "c|d", "e|f"), rows("a|b", "e|f")) == pytest.approx(1 - 3 / 9)


def test_split_spanning_cell() -> None:
    # change the span (1) and insert a cell (1), of 6 nodes
    true = table('<tr><td colspan="2">A</td></tr><tr><td>b</td><td>c</td></tr>')
    read = table("<tr><td>A</td><td></td></tr><tr><td>b</td><td>c</td></tr>")
    assert teds(true, read) == pytest.approx(1 - 2 / 6)
    assert teds(true, read, structure_only=True) == pytest.approx(1 - 2 / 6)


def test_row_span_differs_from_column_span() -> None:
    true, read = table('<tr><td rowspan="2">A</td></tr>'), table('<tr><td colspan="2">A</td></tr>')
    assert teds(true, read) == pytest.approx(1 - 1 / 2)


def test_two_rows_read_as_one() -> None:
    # deleting both `tr` leaves their cells to the table, where an inserted `tr` takes them: 3 of 6 nodes
    assert teds(rows("a|b", "c|d"), rows("a|b|c|d")) == pytest.approx(1 - 3 / 6)


def test_structure_only_ignores_text() -> None:
    true, read = rows("abc|b", "c|d"), rows("xyz|b", "e|f")
    assert teds(true, read, structure_only=True) == 1
    assert teds(true, read) == pytest.approx(1 - 3 / 6)


def test_nothing_read_scores_nothing() -> None:
    assert teds(rows("a|b"), TableTree(())) == 0
    assert teds(TableTree(()), TableTree(())) == 1


def test_markup_that_does_not_count() -> None:
    true = table("<tr><td>a</td><td>b</td></tr><tr><td>c</td><td>d</td></tr>")
    read = table(
        "<caption>T</caption><thead><tr><th><b>a</b></th><th scope='col'> b\n</th></tr></thead>"
        "<tbody><tr><td colspan='1'>c</td><td><p>d</p></td></tr></tbody>"
    )
    assert teds(true, read) == 1


texts = st.sampled_from(["", "a", "ab", "abc", "b"])
spans = st.integers(1, 2)
cells = st.builds(TableCell, texts, spans, spans)
tables = st.builds(TableTree, st.lists(st.lists(cells, max_size=3).map(tuple), max_size=4).map(tuple))


@given(tables, tables)
@settings(max_examples=60, deadline=None)
def test_equal_outer_rows_do_not_change_the_distance(true: TableTree, read: TableTree) -> None:
    nodes = max(true.nodes, read.nodes)
    distance = APTED(
        module._tree(true.rows), module._tree(read.rows), module._Costs()
    ).compute_edit_distance()
    assert teds(true, read) == pytest.approx(max(0, 1 - distance / nodes) if nodes else 1)


@given(tables, tables)
@settings(max_examples=50, deadline=None)
def test_large_tables_never_score_above_the_exact_score(true: TableTree, read: TableTree) -> None:
    exact = teds(true, read)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "EXACT_LIMIT", 0)
        assert teds(true, read) <= exact + 1e-9


def test_large_table_by_aligned_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EXACT_LIMIT", 0)
    assert teds(rows("x|y", "abcd|b", "c|d"), rows("abce|b", "c|e")) == pytest.approx(1 - (3 + 0.25 + 1) / 9)


def test_large_tables_are_quick() -> None:
    true = rows(*(f"{r}|{r + 1}|{r + 2}|x" for r in range(230)))
    read = rows(*(f"{r}|{r + 1}|{r + 3}" for r in range(230)))
    assert 0 < teds(true, read) < 1


def test_tables_are_paired_by_content_and_a_missed_one_scores_zero() -> None:
    one, two, three = rows("a|b", "c|d"), rows("k|l", "m|n"), rows("v|w", "x|y")
    assert table_scores([one, two], [two, three, one]) == {"teds": 1, "teds_s": 1}
    assert table_scores([one, two, three, three], [two]) == {"teds": 1 / 4, "teds_s": 1 / 4}
    assert table_scores([], [one]) == {}


def test_tables_are_paired_on_their_page() -> None:
    true = rows("a|b", page=2)
    assert table_scores([true], [rows("a|b", page=1)])["teds"] == 0
    assert table_scores([true], [rows("a|b", page=1), rows("a|b", page=2)])["teds"] == 1
    assert table_scores([true], [rows("a|b")])["teds"] == 1


def test_equal_tables_are_paired_in_order() -> None:
    true = [rows("a|b"), rows("a|b", "c|c")]
    assert table_scores(true, [rows("a|b"), rows("a|b", "c|c")])["teds"] == 1
