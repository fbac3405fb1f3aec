"""Tables as models write them: broken over lines, ragged, with tags missing, in LaTeX; mended, and told."""

from __future__ import annotations

import re

import pytest

from internvl_loaders.document import Table
from internvl_loaders.transcribe.answer.blocks import blocks, read_answer

HTML = (
    "<table><thead><tr><th>Item</th><th>No.</th><th>Price</th></tr></thead><tbody>"
    "<tr><td>Pump</td><td>12</td><td>7.50</td></tr><tr><td>Valve</td><td>3</td><td>0.99</td></tr>"
    "<tr><td>Hose</td><td></td><td>11.00</td></tr></tbody></table>"
)
GRID = [["Item", "No.", "Price"], ["Pump", "12", "7.50"], ["Valve", "3", "0.99"], ["Hose", "", "11.00"]]


def read(answer: str) -> tuple[Table, str]:
    found = read_answer(answer)
    (table,) = [block.table for block in found.blocks if block.table is not None]
    return table, "; ".join(found.notes)


@pytest.mark.parametrize(
    "broken",
    [
        HTML.replace("</td>", ""),
        HTML.replace("</tr>", ""),
        HTML.replace("</td>", "").replace("</tr>", ""),
        HTML.removesuffix("</table>"),
        HTML.removesuffix("</tr></tbody></table>"),
        HTML.replace("<tr><td>Valve", "<td>Valve"),
        HTML.replace("</tr><tr><td>Valve", "<td>Valve"),
        HTML.replace("<td>3</td>", "<td>3</th>"),
        HTML.replace("<td>3</td>", "3</td>"),
        HTML.replace("</td><td>3", "</td></td><td>3"),
        HTML.replace("<tr><td>Valve", "<tr><tr><td>Valve"),
        HTML.replace("<td>12", '<td rowspan="1>12'),
        HTML.replace("<td>12", "<td rowspan=>12"),
        "<table>" + HTML,
        HTML.replace("</thead><tbody>", ""),
        HTML.replace("11.00</td></tr></tbody></table>", "11.00"),
        HTML.replace("11.00</td></tr></tbody></table>", "11.00</t"),
    ],
)
def test_tags_that_are_missing_or_too_many(broken: str) -> None:
    table = read(broken)[0]
    assert table.grid() == GRID
    assert table.header_rows == 1


def test_a_sound_table_needs_no_note() -> None:
    assert read(HTML) == (read(HTML)[0], "")
    assert read(HTML)[0].grid() == GRID


@pytest.mark.parametrize("after", ["", "\n\n<table><tr><td>x</td></tr></table>"])
def test_a_table_without_an_end_does_not_swallow_what_follows(after: str) -> None:
    for broken in (HTML.removesuffix("</table>"), HTML.removesuffix("</td></tr></tbody></table>")):
        found = read_answer(f"{broken}\n\n# Terms\n\nNet 30.{after}")
        kinds = [block.type for block in found.blocks]
        assert kinds[:3] == ["table", "heading", "paragraph"]
        assert found.blocks[0].table is not None
        assert found.blocks[0].table.grid() == GRID
        assert "end of the table missing" in " ".join(found.notes)


def test_overlapping_spans_and_ragged_rows_are_told() -> None:
    table, notes = read(
        "<table><tr><td>a</td><td rowspan=2>b</td></tr><tr><td colspan=2>c</td></tr>"
        "<tr><td>d</td></tr></table>"
    )
    assert table.grid() == [["a", "b"], ["c", "b"], ["d", ""]]
    assert "spans overlapped" in notes
    assert "row 3 of a table was filled up" in notes
    table, notes = read("| a | b | c |\n|---|---|---|\n| 1 | 2 |\n| 3 | 4 | 5 |\n| 6 |")
    assert table.grid()[1:] == [["1", "2", ""], ["3", "4", "5"], ["6", "", ""]]
    assert "2 rows of a table were filled up to 3 columns (rows 2, 4)" in notes


def test_rows_that_ran_together_are_parted_and_empty_cells_too_many_are_gone() -> None:
    table, notes = read("| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 | 5 | 6 |\n| 7 | 8 | |\n| 9 | 10 |\n")
    assert table.grid() == [["a", "b"], ["1", "2"], ["3", "4"], ["5", "6"], ["7", "8"], ["9", "10"]]
    assert "ran into one another" in notes


HEAD = "| Date | Text | Sum |\n|---|---|---|\n"
WHOLE = [["Date", "Text", "Sum"], ["1 May", "Rent of May", "5.00"], ["2 May", "Fee", "1.00"]]


@pytest.mark.parametrize(
    "rows",
    [
        "| 1 May | Rent of May | \n5.00 |\n| 2 May | Fee | 1.00 |",
        "| 1 May | Rent\nof May | 5.00 |\n| 2 May | Fee | 1.00 |",
        "| 1 May | Rent\nof\nMay | 5.00 |\n| 2 May | Fee | 1.00 |",
        "| 1 May |\nRent of May |\n5.00 |\n| 2 May | Fee | 1.00 |",
        "| 1 May | Rent of May | \n 5.00 |\n| 2 May | Fee | 1.00 |",
        "| 1 May | Rent of May | 5.00\n|\n| 2 May | Fee | 1.00 |",
        "| 1 May | Rent of May\n| 5.00 |\n| 2 May | Fee | 1.00 |",
        "| 1 May | Rent of May | 5.00 |\n| 2 May | Fee | \n1.00 |",
    ],
)
def test_rows_broken_over_lines(rows: str) -> None:
    table, notes = read(HEAD + rows + "\n\nAfter.")
    assert table.grid() == WHOLE
    assert "joined again" in notes


def test_without_a_head_and_within_other_tags() -> None:
    assert read("| a | b |\n| c | d |\n| e | \nf |")[0].grid() == [["a", "b"], ["c", "d"], ["e", "f"]]
    assert read(f"<table>\n{HEAD}| 1 May | Rent of May | 5.00 |\n</table>")[0].grid() == WHOLE[:2]
    assert [b.type for b in blocks(f"As in {LATEX} above.")] == ["paragraph", "table", "paragraph"]


def test_dashes_and_empty_cells_at_the_seam() -> None:
    table, _ = read(HEAD + "| 1 May |\n | 5.00 |\n| - | - | - |\n|\n| Fee | 1.00 |")
    assert table.grid()[1:] == [["1 May", "", "5.00"], ["-", "-", "-"], ["", "Fee", "1.00"]]


def test_a_head_broken_over_lines_and_blank_lines_between_rows() -> None:
    rows = "| 1 May | Rent of May | 5.00 |\n\n| 2 May | Fee | 1.00 |"
    assert read(f"| Date | Text\n| Sum |\n|---|---|---|\n{rows}")[0].grid() == WHOLE


@pytest.mark.parametrize(
    "rows",
    [
        "| 1 May | Rent |\n| 2 May | Fee | 1.00 |",
        "| 1 May | Rent |\n\nThe sum | is 5.",
        "| 1 May | Rent |\nThis goes on without a bar.",
        "| 1 May | Rent | 5.00 |\n\n| A | B | C |\n|---|---|---|\n| 1 | 2 | 3 |",
    ],
)
def test_short_rows_and_other_tables_are_not_joined(rows: str) -> None:
    assert "joined" not in " ".join(read_answer(HEAD + rows).notes)


def test_a_row_that_is_cut_off_is_told() -> None:
    assert "'$62' may be cut off" in read("| a | b |\n|---|---|\n| 1 | $33.83 |\n| 2 | $62")[1]
    assert "end of the table missing" in read(HTML[:-40])[1]


LATEX = r"""\begin{tabular}{|l|l|l|}
\hline
\multirow{2}{*}{\textbf{Name}} & \multicolumn{2}{c|}{\textbf{Change}} \\
\cline{2-3}
 & t & \% \\
\hline
Lychee & 1 & 10\\
Mango \& Co. & \$2 & --10\\
\hline
\end{tabular}"""
CELLS = [
    (0, 0, 2, 1, "Name", True), (0, 1, 1, 2, "Change", True), (1, 1, 1, 1, "t", True),
    (1, 2, 1, 1, "%", True),
    (2, 0, 1, 1, "Lychee", False), (2, 1, 1, 1, "1", False), (2, 2, 1, 1, "10", False),
    (3, 0, 1, 1, "Mango & Co.", False), (3, 1, 1, 1, "$2", False), (3, 2, 1, 1, "–10", False),
]  # fmt: skip


@pytest.mark.parametrize(
    "latex",
    [
        LATEX,
        f"```latex\n{LATEX}\n```",
        LATEX.replace("{tabular}{", "{longtable}{").replace("end{tabular}", "end{longtable}"),
        LATEX.replace("{tabular}{", r"{tabularx}{\textwidth}{").replace("end{tabular}", "end{tabularx}"),
        LATEX.replace("\\hline\n\\mul", "\\toprule\n\\mul").replace("\\hline\nLy", "\\midrule\nLy"),
        f"$$\n{LATEX.replace('tabular', 'array')}\n$$",
        LATEX.removesuffix("\\hline\n\\end{tabular}"),
        LATEX.replace(r"\multirow{2}{*}{\textbf{Name}}", r"\multirow[t]{2}{2cm}{\thead{Name}}"),
        LATEX.replace(r"\textbf{Change}", r"\makecell[c]{{\bf Change}}"),
        LATEX.replace(r"\multirow{2}{*}{\textbf{Name}} &", "&").replace(
            " & t", r"\multirow{-2}{*}{\textbf{Name}} & t"
        ),
        LATEX.replace(r"\textbf{Name}", r"\textcolor{red}{\textbf{Name}}"),
        LATEX.replace("Lychee", "% fruit\nLychee").replace("% fruit\n", ""),
    ],
)
def test_latex_tables(latex: str) -> None:
    (block,) = blocks(latex)
    assert block.table is not None
    assert [(c.row, c.col, c.row_span, c.col_span, c.text, c.header) for c in block.table.cells] == CELLS


def test_a_latex_float_has_a_caption_and_text_around() -> None:
    head = "\\begin{table}[h]\n\\centering\n\\caption{Prices of \\textbf{fruit}}"
    answer = f"Before.\n\n{head}\n{LATEX}\n\\end{{table}}\nAfter."
    assert [(b.type, b.text) for b in blocks(answer) if b.type != "table"] == [
        ("paragraph", "Before."), ("caption", "Prices of fruit"), ("paragraph", "After."),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "formula",
    [r"\begin{array}{cc} a & b \\ c & d \end{array}", r"\left[\begin{array}{c|c} 1 & 2 \end{array}\right]"],
)
def test_a_matrix_is_a_formula(formula: str) -> None:
    assert [(b.type, b.text) for b in blocks(f"$$\n{formula}\n$$")] == [("formula", formula)]


def test_no_letter_or_digit_of_a_cell_is_lost() -> None:
    rows = r"A\textsubscript{2} $x_{1}$ & \weird{B} 3 \\ {C} & \textbf{D \textit{4}} \newline 5"
    odd = rf"\begin{{tabular}}{{ll}} {rows} \end{{tabular}}"
    (block,) = blocks(odd)
    assert re.findall(r"[A-D]|\d", block.text) == ["A", "2", "1", "B", "3", "C", "D", "4", "5"]
