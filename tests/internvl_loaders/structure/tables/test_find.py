"""Tables laid out as the page shows them."""

import random
from dataclasses import replace

import pytest

from internvl_loaders.content import Content, Ruling, Span
from internvl_loaders.structure.tables.find import FoundTable, find_tables
from tests.kit.typeset import PROSE, Setter


class Sheet(Setter):
    """A page on which cells are set at the left, in the middle or at the right of an x."""

    def row(self, y: float, texts: list[str], xs: list[float], align: str = "", **style: object) -> None:
        """`align` has one of l, c, r for every text; the last stands for all that follow."""
        for i, (text, x) in enumerate(zip(texts, xs, strict=True)):
            words = text.split()
            width = sum(len(w) * 5 for w in words) + 2.5 * (len(words) - 1)
            side = (align or "l")[min(i, len(align or "l") - 1)]
            self.line(text, x - {"l": 0, "c": width / 2, "r": width}[side], y, **style)

    def across(self, y: float, x0: float, x1: float) -> None:
        self.content.rulings.append(Ruling(x0, y, x1, y))

    def down(self, x: float, y0: float, y1: float) -> None:
        self.content.rulings.append(Ruling(x, y0, x, y1))


def only(content: Content) -> FoundTable:
    found = find_tables(content)
    assert len(found) == 1, [t.table.grid() for t in found]
    return found[0]


def texts(found: FoundTable, content: Content) -> str:
    return " ".join(content.spans[i].text for i in sorted(found.spans))


def spans_of(found: FoundTable) -> dict[str, tuple[int, int, int, int]]:
    return {c.text: (c.row, c.col, c.row_span, c.col_span) for c in found.table.cells}


def ruled(
    rows: list[list[str]], x: float = 60, y: float = 100, width: float = 120, height: float = 24
) -> Sheet:
    page = Sheet()
    cols = len(rows[0])
    for r in range(len(rows) + 1):
        page.across(y + r * height, x, x + cols * width)
    for c in range(cols + 1):
        page.down(x + c * width, y, y + len(rows) * height)
    for r, row in enumerate(rows):
        page.row(y + r * height + 7, row, [x + c * width + 6 for c in range(cols)])
    return page


def test_a_full_lattice_gives_every_cell():
    rows = [
        ["Item", "Unit", "Price"],
        ["Oak plank", "m", "12.50"],
        ["Nails", "kg", ""],
        ["Glue", "l", "7.00"],
    ]
    found = only(ruled(rows).content)
    assert found.table.grid() == rows
    assert found.table.header_rows == 1
    assert found.confidence > 0.9


def test_missing_walls_make_spanning_cells():
    page = Sheet()
    for y, x0 in ((100, 60), (124, 160), (148, 60), (172, 60), (196, 60)):
        page.across(y, x0, 460)
    for x, y0 in ((60, 100), (160, 100), (260, 124), (360, 100), (460, 100)):
        page.down(x, y0, 196)
    page.row(119, ["Region"], [70])
    page.row(107, ["Harvest", "Share"], [230, 380])
    page.row(131, ["2021", "2022", "in %"], [170, 270, 370])
    page.row(155, ["North", "11", "12", "40"], [70, 170, 270, 370])
    page.row(179, ["South", "21", "22", "60"], [70, 170, 270, 370])
    found = only(page.content)
    cells = spans_of(found)
    assert cells["Region"] == (0, 0, 2, 1)
    assert cells["Harvest"] == (0, 1, 1, 2)
    assert cells["in %"] == (1, 3, 1, 1)
    assert found.table.header_rows == 2
    assert found.table.grid()[2] == ["North", "11", "12", "40"]


def test_lines_in_a_drawn_cell_are_one_text_and_a_title_row_is_left_out():
    page = Sheet()
    for y in (80, 100, 140, 160, 180):
        page.across(y, 60, 420)
    for x in (60, 420):
        page.down(x, 80, 180)
    for x in (180, 300):
        page.down(x, 100, 180)
    page.row(84, ["Exhibit 7: What was asked"], [240], "c")
    page.row(105, ["Question asked", "Schools", "Schools"], [70, 190, 310])
    page.row(117, ["of everybody", "agreeing", "disagreeing"], [70, 190, 310])
    page.row(144, ["More staff", "69%", "31%"], [70, 190, 310])
    page.row(164, ["More room", "46%", "54%"], [70, 190, 310])
    found = only(page.content)
    assert found.table.grid() == [
        ["Question asked of everybody", "Schools agreeing", "Schools disagreeing"],
        ["More staff", "69%", "31%"],
        ["More room", "46%", "54%"],
    ]
    assert "Exhibit" not in texts(found, page.content)


def test_rulings_between_columns_and_under_headings_do_not_hide_the_rows():
    page = Sheet()
    for y in (100, 120, 180):
        page.across(y, 60, 480)
    for x in (160, 320):
        page.down(x, 100, 180)
    page.row(105, ["Age", "Men", "Women", "Men", "Women"], [70, 230, 310, 390, 470], "lr")
    for r in range(4):
        page.row(
            124 + r * 14,
            [f"{r}0-{r}9", *(f"{r + 1},{n}50,120" for n in range(4))],
            [70, 230, 310, 390, 470],
            "lr",
        )
    found = only(page.content)
    assert found.table.grid()[0] == ["Age", "Men", "Women", "Men", "Women"]
    assert found.table.grid()[4] == ["30-39", "4,050,120", "4,150,120", "4,250,120", "4,350,120"]


def booktabs(*, rulings: bool = True) -> Sheet:
    page = Sheet()
    page.line("Table 3. Harvest by region and year", 60, 70)
    if rulings:
        for y in (88, 124, 192):
            page.across(y, 60, 520)
        for x in (170, 360):
            page.across(106, x, x + 150)
    page.row(93, ["Wheat", "Barley"], [250, 440], "c")
    page.row(111, ["Region", "2021", "2022", "2021", "2022"], [60, 210, 290, 400, 480], "lr")
    for r, name in enumerate(["North", "East", "South"]):
        page.row(
            128 + r * 14, [name, f"1{r}.5", f"2{r}.25", f"3{r}.5", f"4{r}.75"], [60, 210, 290, 400, 480], "lr"
        )
    page.row(170, ["All regions together", "13.0", "23.0", "33.0", "43.0"], [60, 210, 290, 400, 480], "lr")
    page.line("Note: preliminary figures", 60, 198, 8)
    return page


def test_rulings_across_show_headings_of_two_levels():
    page = booktabs()
    found = only(page.content)
    cells = spans_of(found)
    assert cells["Region"] == (0, 0, 2, 1)
    assert cells["Wheat"] == (0, 1, 1, 2)
    assert cells["Barley"] == (0, 3, 1, 2)
    assert found.table.header_rows == 2
    assert found.table.grid()[5] == ["All regions together", "13.0", "23.0", "33.0", "43.0"]
    assert {"Table", "Note:"}.isdisjoint(texts(found, page.content).split())


def test_a_heading_centred_over_columns_spans_them_without_a_ruling():
    found = only(booktabs(rulings=False).content)
    assert spans_of(found)["Wheat"] == (0, 1, 1, 2)
    assert spans_of(found)["Barley"] == (0, 3, 1, 2)


def test_columns_without_rulings_sections_and_blank_cells():
    page = Sheet()
    page.row(100, ["Year", "Total", "Public", "Private"], [60, 240, 330, 420], "lr", bold=True)
    page.row(116, ["Actual"], [60])
    for r in range(4):
        page.row(130 + r * 13, [f"200{r}", f"51,{r}44", f"37,{r}81", f"14,{r}62"], [70, 240, 330, 420], "lr")
    page.row(186, ["Projected"], [60])
    for r in range(3):
        page.row(200 + r * 13, [f"201{r}", f"61,{r}44", f"27,{r}81"], [70, 240, 420], "lr")
    found = only(page.content)
    grid = found.table.grid()
    assert grid[0] == ["Year", "Total", "Public", "Private"]
    assert grid[1] == ["Actual", "", "", ""]
    assert grid[2] == ["2000", "51,044", "37,081", "14,062"]
    assert grid[7] == ["2010", "61,044", "", "27,081"]
    assert found.table.header_rows == 1


def test_a_wrapped_label_is_one_row():
    page = Sheet()
    xs = [60, 300, 380]
    page.row(100, ["Statement", "Yes", "No"], xs, "lr", bold=True)
    page.row(120, ["Treatment is the most effective way", "7.1", "4.0"], xs, "lr")
    page.row(132, ["to treat the illness"], [60])
    page.row(148, ["Treatment carries a risk", "45.0", "35.0"], xs, "lr")
    page.row(164, ["The benefit of treatment outweighs", "1.0", "0.5"], xs, "lr")
    page.row(176, ["the risk associated with it"], [60])
    assert only(page.content).table.grid()[1:] == [
        ["Treatment is the most effective way to treat the illness", "7.1", "4.0"],
        ["Treatment carries a risk", "45.0", "35.0"],
        ["The benefit of treatment outweighs the risk associated with it", "1.0", "0.5"],
    ]


def test_a_description_that_goes_on_belongs_to_its_item():
    page = Sheet()
    xs = [70, 110, 400, 500]
    page.row(100, ["Pos", "Description", "Price", "Sum"], xs, "llr")
    y = 116
    for n in range(1, 4):
        page.row(y, [str(n), "Mail account, standard", "5,39", "5,39"], xs, "llr")
        page.row(y + 14, ["Basic fee per unit"], [110])
        page.row(y + 28, ["01.05.14-31.05.14"], [110])
        y += 42
    table = only(page.content).table
    assert table.rows == 4
    assert table.grid()[2] == [
        "2",
        "Mail account, standard Basic fee per unit 01.05.14-31.05.14",
        "5,39",
        "5,39",
    ]


def test_numbers_of_tight_columns_stay_apart_and_whole():
    page = Sheet()
    for r in range(8):
        numbers = [f"{1 + r},{c}53,438" for c in range(6)]
        page.row(
            100 + r * 11, [f"State {'abcdefgh'[r]}", *numbers], [60, *(185 + 50 * c for c in range(6))], "lr"
        )
    grid = only(page.content).table.grid()
    assert grid[3][1:] == [f"4,{c}53,438" for c in range(6)]


def test_a_currency_sign_belongs_to_its_number():
    page = Sheet()
    for r, name in enumerate(["Research", "Sales", "Administration", "Total"]):
        page.row(
            100 + r * 14, [name, "$", f"{r + 1},200", "$", f"{r + 1},900"], [60, 200, 260, 300, 360], "llrlr"
        )
    assert only(page.content).table.grid()[0] == ["Research", "$ 1,200", "$ 1,900"]


def test_dotted_leaders_are_neither_text_nor_lost():
    page = Sheet()
    for r, name in enumerate(["Wages", "Rent and heating", "Paper", "Travel"]):
        page.row(
            100 + r * 14, [name, "." * (20 - len(name)), f"{r},500", f"{r},700"], [60, 160, 330, 400], "llr"
        )
    found = only(page.content)
    assert found.table.grid()[1] == ["Rent and heating", "1,500", "1,700"]
    assert len(found.spans) == len(page.content.spans)


def test_tables_side_by_side_and_one_above_another():
    left = ruled([["A", "B", "C"], ["1", "2", "3"], ["4", "5", "6"]], width=60)
    for x, y in ((320, 100), (60, 400)):
        other = ruled([["D", "E", "F"], ["7", "8", "9"], ["10", "11", "12"]], x=x, y=y, width=60)
        left.content.spans += other.content.spans
        left.content.rulings += other.content.rulings
    found = find_tables(left.content)
    assert [t.table.grid()[0][0] for t in found] == ["A", "D", "D"]
    assert not found[0].spans & found[1].spans
    assert found[0].rect.x1 < found[1].rect.x0 and found[1].rect.y1 < found[2].rect.y0


def test_a_table_beside_running_text():
    page = ruled(
        [["Place", "Number"], ["Hall", "60"], ["Garden", "58"], ["Office", "56"]], x=330, width=90, height=20
    )
    page.prose(PROSE * 2, 50, 96, 240)
    found = only(page.content)
    assert found.table.rows == 4
    assert "river" not in texts(found, page.content)


def test_ideographs_are_joined_without_spaces():
    page = ruled([["年份", "机构"], ["2023", "中诚信国际"], ["2022", "联合资信"]], height=40)
    page.row(152 + 12, ["信用评级"], [186])
    assert only(page.content).table.grid()[1][1] == "中诚信国际信用评级"


def test_ocr_lines_that_swallowed_the_gaps_are_shared_out():
    page = Sheet(ocr=True)
    rows = [["Austria", "59.25", "54.75"], ["Belgium", "62.50", "60.25"], ["Denmark", "59.75", "54.50"]]
    words = ruled(rows, width=90).content
    lines: dict[float, list[Span]] = {}
    for span in words.spans:
        lines.setdefault(span.y0, []).append(span)
    for y, line in lines.items():
        width = line[-1].x1 - line[0].x0
        text = ""
        for span in line:
            text = text.ljust(round((span.x0 - line[0].x0) / width * 42)) + span.text
        page.content.spans.append(Span(text, line[0].x0, y, line[-1].x1, y + 10, 10, confidence=0.9))
    page.content.rulings = words.rulings
    assert only(page.content).table.grid() == rows


def test_a_span_that_reaches_out_of_the_table_stays_outside_whole():
    page = ruled([["a", "b", "c"], ["1", "2", "3"], ["4", "5", "6"]], width=60)
    page.content.spans.append(Span("7 " + "text outside of it " * 5, 70, 131, 560, 141, 10))
    found = only(page.content)
    assert len(page.content.spans) - 1 not in found.spans
    assert not any("7" in c.text for c in found.table.cells)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("rulings", [True, False])
def test_jittered_boxes_change_nothing(seed: int, rulings: bool):
    page = booktabs(rulings=rulings)
    rng = random.Random(seed)
    shaken = [
        replace(
            s,
            x0=s.x0 + rng.gauss(0, 0.6),
            x1=s.x1 + rng.gauss(0, 0.6),
            y0=s.y0 + rng.gauss(0, 0.5),
            y1=s.y1 + rng.gauss(0, 0.5),
        )
        for s in page.content.spans
    ]
    calm = only(page.content).table
    found = only(replace(page.content, spans=shaken)).table
    assert found.grid() == calm.grid()
