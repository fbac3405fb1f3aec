"""Tables over page breaks."""

from __future__ import annotations

from io import StringIO

from internvl_loaders.cli.output import JsonWriter
from internvl_loaders.document import Block, Cell, Document, Page, Table

HEAD = ["Item", "Price"]


def table(*rows: list[str], head: list[str] | None = HEAD) -> Block:
    lines = [*([head] if head else []), *rows]
    cells = tuple(
        Cell(row=r, col=c, text=text, header=head is not None and r == 0)
        for r, line in enumerate(lines)
        for c, text in enumerate(line)
    )
    return Block(type="table", text="x", table=Table(rows=len(lines), cols=len(lines[0]), cells=cells))


def block(text: str, kind: str = "paragraph") -> Block:
    return Block(type=kind, text=text)


def document(*pages: list[Block], numbers: list[int] | None = None) -> Document:
    numbers = numbers or list(range(1, len(pages) + 1))
    return Document.of(
        [
            Page(source="a", number=n, status="ok", blocks=tuple(b))
            for n, b in zip(numbers, pages, strict=True)
        ]
    )


def test_a_table_whose_head_is_repeated_is_one() -> None:
    found = document(
        [block("Prices"), table(["Pump", "12"], ["Valve", "7"]), block("1", "footer")],
        [block("ACME", "header"), table(["Hose", "3"]), block("2", "footer")],
        [block("Table 1 (continued)", "caption"), table(["Seal", "1"]), block("That is all.")],
    )
    (whole,) = found.running_tables
    assert whole.table.grid() == [HEAD, ["Pump", "12"], ["Valve", "7"], ["Hose", "3"], ["Seal", "1"]]
    assert whole.table.header_rows == 1
    assert [(p.page, p.block, p.row) for p in whole.parts] == [(1, 1, 0), (2, 1, 3), (3, 1, 4)]
    assert [len(p.tables) for p in found.pages] == [1, 1, 1]
    assert found.pages[1].tables[0].grid() == [HEAD, ["Hose", "3"]]
    assert Document.from_json(found.to_json()) == found


def test_what_is_not_one_table() -> None:
    first = [table(["Pump", "12"])]
    assert not document(first, [table(["Hose", "3"], head=["Item", "Weight"])]).running_tables
    assert not document(first, [table(["Hose", "3"], head=None)]).running_tables
    assert not document(first, [table(["Hose", "3", "x"], head=["Item", "Price", "Note"])]).running_tables
    assert not document(first, [block("Other things"), table(["Hose", "3"])]).running_tables
    assert not document([*first, block("The end.")], [table(["Hose", "3"])]).running_tables
    assert not document(first, [table(["Hose", "3"])], numbers=[1, 3]).running_tables
    assert not document(first, [], [table(["Hose", "3"])]).running_tables


def test_two_running_tables_in_a_row() -> None:
    other = ["Name", "Age"]
    found = document(
        [table(["Pump", "12"])],
        [table(["Hose", "3"]), table(["Ann", "30"], head=other)],
        [table(["Bob", "40"], head=other)],
    )
    assert [t.table.grid() for t in found.running_tables] == [
        [HEAD, ["Pump", "12"], ["Hose", "3"]],
        [other, ["Ann", "30"], ["Bob", "40"]],
    ]


def test_the_json_that_is_written_page_by_page_has_it_too() -> None:
    found = document([table(["Pump", "12"])], [block("Words")], [table(["Ann", "1"])], [table(["Hose", "3"])])
    file = StringIO()
    writer = JsonWriter(file)
    for page in found.pages:
        writer.add(page)
    writer.end()
    assert Document.from_json(file.getvalue()) == found
    assert [p.page for p in found.running_tables[0].parts] == [3, 4]


STATEMENT = ["Date", "Text", "Amount", "Balance"]
BEFORE = [["01/05/2025", "Rent", "500.00", "1,500.00"], ["03/05/2025", "Fee", "2.50", "1,497.50"]]
AFTER = [["07/05/2025", "Salary", "900.00", "2,397.50"], ["09/05/2025", "Card 1234", "17.20", "2,380.30"]]


def test_a_table_goes_on_without_a_head_where_its_columns_hold_the_same() -> None:
    for head in (None, AFTER[0]):  # markdown makes a head of the first row
        rest = AFTER if head is None else AFTER[1:]
        found = document([table(*BEFORE, head=STATEMENT)], [table(*rest, head=head), block("The end.")])
        (whole,) = found.running_tables
        assert whole.table.grid() == [STATEMENT, *BEFORE, *AFTER]
        assert whole.table.header_rows == 1
        assert [(p.page, p.row) for p in whole.parts] == [(1, 0), (2, 3)]


def test_a_head_that_was_misread_or_is_no_head_cell_is_repeated_all_the_same() -> None:
    misread = ["Date", "Texl", "Amount", "Ba1ance"]
    found = document([table(*BEFORE, head=STATEMENT)], [table(*AFTER, head=misread)])
    assert found.running_tables[0].table.grid() == [STATEMENT, *BEFORE, *AFTER]
    found = document([table(STATEMENT, *BEFORE, head=None)], [table(STATEMENT, *AFTER, head=None)])
    assert found.running_tables[0].table.grid() == [STATEMENT, *BEFORE, *AFTER]


def test_words_go_on_only_where_the_page_says_so() -> None:
    first, second = table(["Pump", "blue"], head=["Item", "Colour"]), table(["Hose", "red"], head=None)
    assert not document([first], [second]).running_tables
    assert document([first], [block("Table 1 (continued)", "caption"), second]).running_tables


def test_columns_that_hold_other_things_are_another_table() -> None:
    first = [table(*BEFORE, head=STATEMENT)]
    swapped = [[row[0], row[2], row[1], row[3]] for row in AFTER]
    assert not document(first, [table(*swapped, head=None)]).running_tables
    assert not document(first, [table(*AFTER, head=["Day", "What", "Net", "Gross"])]).running_tables
    total = ["", "Total", "502.50", "1,497.50"]
    assert not document([table(*BEFORE, total, head=STATEMENT)], [table(*AFTER, head=None)]).running_tables
    assert not document([table(BEFORE[0], head=STATEMENT)], [table(*AFTER, head=None)]).running_tables


def test_three_pages_of_which_the_last_alone_repeats_the_head() -> None:
    found = document(
        [table(*BEFORE, head=STATEMENT)], [table(*AFTER, head=None)], [table(*BEFORE, head=STATEMENT)]
    )
    (whole,) = found.running_tables
    assert whole.table.grid() == [STATEMENT, *BEFORE, *AFTER, *BEFORE]
    assert [p.row for p in whole.parts] == [0, 3, 5]
