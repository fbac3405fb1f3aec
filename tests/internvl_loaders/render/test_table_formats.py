from __future__ import annotations

import builtins
import csv
import io
from typing import Any

import pytest
from hypothesis import given
from lxml import html as lxml_html

from internvl_loaders.document import Cell, Table
from internvl_loaders.errors import MissingDependencyError
from internvl_loaders.render.table import defuse, headers
from tests.kit import documents
from tests.kit.documents import table

SPANS = table(
    ["", ("2023", 1, 2), None, ("Total", 2, 1)],
    [("Item", 1, 1), "Q1", "Q2", None],
    [("Paper", 2, 1), "1.10", "-2.20", "007"],
    [None, ("none", 1, 2), None, ""],
    header_rows=2,
)


def test_gfm_repeats_spans_and_joins_header_rows() -> None:
    assert SPANS.to_gfm() == (
        "|Item|2023 / Q1|2023 / Q2|Total|\n"
        "|---|---|---|---|\n"
        "| Paper | 1.10 | -2.20 | 007 |\n"
        "| Paper | none | none |  |"
    )


def test_gfm_without_header_cells_invents_none() -> None:
    assert table(["5", "5"], ["a|b", "c\nd"], header_rows=0).to_gfm() == (
        "| |  |\n|---|---|\n| 5 | 5 |\n| a&#124;b | c d |"
    )


def test_gfm_of_one_column() -> None:
    assert table(["A"], ["x"], [""]).to_gfm() == "|A|\n|---|\n| x |\n|  |"


def test_a_backslash_ends_no_cell() -> None:
    assert table(["C:\\", "b"], ["d\\\\", "\\|"]).to_gfm() == (
        "|C:&#92;|b|\n|---|---|\n| d\\\\&#92; | \\\\&#124; |"
    )


def test_equal_headers_are_told_apart() -> None:
    names = headers(table(["A", "A", " A (2) ", "", "A", ""], ["1", "2", "3", "4", "5", "6"]))
    assert names == ["A", "A (3)", "A (2)", "", "A (4)", ""]


@given(documents.tables())
def test_headers_are_unique_and_trimmed(table_: Table) -> None:
    names = headers(table_)
    assert all(name == " ".join(name.split()) for name in names)
    filled = [name for name in names if name]
    assert len(set(filled)) == len(filled)
    assert all(set(record) == set(table_.to_records()[0]) for record in table_.to_records())
    assert all(len(record) == table_.cols for record in table_.to_records())


def test_many_equal_or_blank_headers_stay_cheap() -> None:
    wide = Table(
        rows=1, cols=20_000, cells=tuple(Cell(row=0, col=c, text="A", header=True) for c in range(20_000))
    )
    assert headers(wide)[-1] == "A (20000)"
    assert len(Table(rows=1, cols=20_000, cells=()).to_gfm()) < 5_000_000


def test_html_keeps_spans_and_empty_places() -> None:
    assert SPANS.to_html().split("\n") == [
        "<table>",
        "<thead>",
        '<tr><th></th><th colspan="2">2023</th><th rowspan="2">Total</th></tr>',
        "<tr><th>Item</th><th>Q1</th><th>Q2</th></tr>",
        "</thead>",
        "<tbody>",
        '<tr><td rowspan="2">Paper</td><td>1.10</td><td>-2.20</td><td>007</td></tr>',
        '<tr><td colspan="2">none</td><td></td></tr>',
        "</tbody>",
        "</table>",
    ]
    assert "<td></td>" in Table(rows=1, cols=2, cells=(Cell(row=0, col=0, text="a"),)).to_html()


def test_a_header_that_spans_into_the_body_is_not_cut() -> None:
    crossing = Table(
        rows=2,
        cols=2,
        cells=(
            Cell(row=0, col=0, row_span=2, text="side", header=True),
            Cell(row=0, col=1, text="top", header=True),
            Cell(row=1, col=1, text="body"),
        ),
    )
    assert crossing.header_rows == 1
    assert "<thead>" not in crossing.to_html()
    assert '<th rowspan="2">side</th>' in crossing.to_html()


@given(documents.tables())
def test_html_gives_the_grid_back(table_: Table) -> None:
    source = table_.to_html()
    assert "\n\n" not in source
    assert source.startswith("<table>\n")
    root = lxml_html.fragment_fromstring(source)
    assert {e.tag for e in root.iter()} <= {"table", "thead", "tbody", "tr", "th", "td", "br"}
    grid: dict[tuple[int, int], str] = {}
    for row, tr in enumerate(root.iter("tr")):
        col = 0
        for td in tr:
            while (row, col) in grid:
                col += 1
            for r in range(int(td.get("rowspan", 1))):
                for c in range(int(td.get("colspan", 1))):
                    grid[row + r, col + c] = documents.flat(td.text_content())
    assert grid == {
        (r, c): documents.flat(text) for r, row in enumerate(table_.grid()) for c, text in enumerate(row)
    }


def test_pandas_reads_the_html() -> None:
    pandas = pytest.importorskip("pandas")
    (frame,) = pandas.read_html(io.StringIO(SPANS.to_html()), converters=dict.fromkeys(range(4), str))
    assert frame.shape == (2, 4)
    assert frame.iloc[0].tolist() == ["Paper", "1.10", "-2.20", "007"]
    assert frame.iloc[1].tolist()[:3] == ["Paper", "none", "none"]
    assert [pair[0] for pair in frame.columns][1:] == ["2023", "2023", "Total"]
    assert [pair[1] for pair in frame.columns] == ["Item", "Q1", "Q2", "Total"]


def test_csv() -> None:
    assert table(["a,b", 'c"d'], ["e\nf", ""]).to_csv() == '"a,b","c""d"\r\n"e\nf",\r\n'
    assert SPANS.to_csv().split("\r\n")[0] == ",2023,2023,Total"


@given(documents.tables())
def test_csv_gives_the_grid_back(table_: Table) -> None:
    rows = list(csv.reader(io.StringIO(table_.to_csv(), newline="")))
    assert [[text.removeprefix("'") for text in row] for row in rows] == [
        [text.removeprefix("'") for text in row] for row in table_.grid()
    ]
    for row in rows:
        assert not any(text.lstrip()[:1] in set("=@＝＠") for text in row)


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        '=HYPERLINK("http://x")',
        "+cmd|' /C calc'!A0",
        "-2+3",
        "-5+A1",
        "- an item",
        "@SUM(1)",
        "\tx",
        "\rx",
        " =1+1",
        "\n=1+1",
        "\t=1+1",
        "\u00a0=1",
        "\ufeff=1+1",
        "\u200b=1",
        "\x00=1",
        "＝1+1",
        "＋cmd",
        "－cmd",
        "＠SUM(1)",
        "=",
        "@",
        "+1-1",
        "-1.2.3e",
        "-1(2)",
    ],
)
def test_a_formula_is_defuse(text: str) -> None:
    assert defuse(text) == f"'{text}"


@pytest.mark.parametrize(
    "text",
    [
        "-5",
        "+3.2",
        "-1,234.56",
        "-1.234,56",
        "-1 234,56",
        "-1\u202f234,56",
        "-1'234.50",
        "-12%",
        "-12.5 %",
        " -5",
        "\t-5",
        "-.5",
        "-5.",
        "-$1,234.56",
        "- 5",
        "-5 €",
        "-5.00 EUR",
        "-1.5e-3",
        "+49 30 123456",
        "－５",
        "-",
        "--",
        "+",
        "–5",
        "−5",
        "5-3",
        "a=b",
        "me@x.y",
        "(5)",
        "",
        "'=1",
    ],
)
def test_numbers_and_plain_text_stay(text: str) -> None:
    assert defuse(text) == text


def test_records() -> None:
    assert SPANS.to_records() == [
        {"Item": "Paper", "2023 / Q1": "1.10", "2023 / Q2": "-2.20", "Total": "007"},
        {"Item": "Paper", "2023 / Q1": "none", "2023 / Q2": "none", "Total": ""},
    ]
    assert table(["a", "b"], header_rows=0).to_records() == [{"column 1": "a", "column 2": "b"}]
    assert list(table(["column 2", ""], ["a", "b"]).to_records()[0]) == ["column 2", "column 2 (2)"]
    assert table(["only", "headers"]).to_records() == []


def test_pandas_keeps_texts() -> None:
    pandas = pytest.importorskip("pandas")
    frame = SPANS.to_pandas()
    assert list(frame.columns) == ["Item", "2023 / Q1", "2023 / Q2", "Total"]
    assert frame.loc[0, "Total"] == "007"
    assert frame.loc[1, "Total"] == ""
    assert frame.map(lambda value: isinstance(value, str)).all().all()
    assert isinstance(table(["only", "headers"]).to_pandas(), pandas.DataFrame)


def test_pandas_missing_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "pandas":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingDependencyError, match=r"internvl-documents\[pandas\]"):
        SPANS.to_pandas()
