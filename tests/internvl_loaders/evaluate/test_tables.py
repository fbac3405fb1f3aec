from internvl_loaders.evaluate.tables import MAX_SPAN, TableCell, read_tables


def test_rows_cells_spans_and_page() -> None:
    (table,) = read_tables(
        '<p>x</p><table data-page="3"><tr><th rowspan=2>a</th><td>b</td></tr><tr><td>c</td></tr></table>'
    )
    assert table.page == 3
    assert table.rows == ((TableCell("a", 1, 2), TableCell("b")), (TableCell("c"),))
    assert table.nodes == 5


def test_page_of_the_reader_stands_where_the_table_names_none() -> None:
    assert [t.page for t in read_tables("<table></table><table data-page=2></table>", 5)] == [5, 2]


def test_nested_table_is_text_of_its_cell() -> None:
    (table,) = read_tables("<table><tr><td>a<table><tr><td>b</td><td>c</td></tr></table></td></tr></table>")
    assert table.rows == ((TableCell("a b c"),),)


def test_breaks_part_words() -> None:
    (table,) = read_tables("<table><tr><td>one<br>two<p>three</p>f<b>o</b>ur</td></tr></table>")
    assert table.rows[0][0].text == "one two three four"


def test_nonsense_spans_are_one_and_huge_ones_are_clipped() -> None:
    (table,) = read_tables(
        "<table><tr><td colspan=x rowspan=-1>a</td><td colspan=0>b</td><td colspan=99999>c</td></tr></table>"
    )
    assert [(c.col_span, c.row_span) for c in table.rows[0]] == [(1, 1), (1, 1), (MAX_SPAN, 1)]


def test_no_table() -> None:
    assert read_tables("") == read_tables(" \n") == read_tables("<!-- x -->") == read_tables("text") == []


def test_grid_repeats_spanning_texts() -> None:
    (table,) = read_tables(
        "<table><tr><td rowspan=2>a</td><td colspan=2>b</td></tr>"
        "<tr><td>c</td><td>d</td></tr><tr><td>e</td></tr></table>"
    )
    assert table.grid() == [["a", "b", "b"], ["a", "c", "d"], ["e"]]


def test_row_span_beyond_the_last_row_is_cut() -> None:
    (table,) = read_tables("<table><tr><td rowspan=9>a</td></tr></table>")
    assert table.grid() == [["a"]]
