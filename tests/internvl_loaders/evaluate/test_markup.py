from internvl_loaders.evaluate.markup import markdown_html, markdown_text
from internvl_loaders.evaluate.tables import read_tables


def test_markup_goes_and_text_stays() -> None:
    markdown = (
        "# Head\n\nSome **bold** _text_ with `code`\\_x.\n\n- one\n- two\n\n![pic](a.png)\n\n[link](http://x)"
    )
    assert markdown_text(markdown) == "Head\nSome bold text with code_x.\none\ntwo\nlink"


def test_table_cells_are_lines_and_comments_are_not_text() -> None:
    assert markdown_text("<!-- note -->\n\n|a|**b**<br>c|\n|---|---|\n|1|2|\n") == "a\nb\nc\n1\n2"


def test_tables_of_markdown() -> None:
    (table,) = read_tables(markdown_html("|a|b|\n|---|---|\n|1|2<br>3|\n"))
    assert table.grid() == [["a", "b"], ["1", "2 3"]]


def test_empty() -> None:
    assert markdown_text("") == markdown_text("<!-- x -->") == ""
