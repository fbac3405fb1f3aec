"""Tables whose markup is broken, and tables over page breaks: what becomes of them, against what they were.

    python -m benchmarks.witness.tables DATA [--json results.json]

DATA is a folder with true tables in HTML files beneath it; more are made here, with a seed. Every true
table is written as a model would write it, broken in one way, and read: by a parser of HTML or GFM
(`plain`), and by `transcribe.answer` (`read`). The score is TEDS; `told` is the share of answers of which
a note says something.

Running tables are cut at a row into pages with running lines; the score is the share of true joints that were
found, of found ones that are true, and TEDS of the whole table.
"""

from __future__ import annotations

import argparse
import html
import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from markdown_it import MarkdownIt

from internvl_loaders.document import Document, Page
from internvl_loaders.evaluate.tables import TableTree, read_tables
from internvl_loaders.evaluate.teds import teds
from internvl_loaders.transcribe.answer.blocks import read_answer

SEED = 14
MADE = 12
"""Tables that are made; as many documents of running tables are made for each case."""

MOST = 120
"""Rows and cells of a true table: TEDS is slow on larger ones."""

Rows = list[list[str]]


def made(chance: random.Random) -> Rows:
    """A statement of 5 to 16 rows, whose columns are dates, words, numbers and amounts."""
    heads = ["Date", "Description", "Quantity", "Amount", "Balance", "Reference"]
    cols = chance.randint(3, 6)
    words = [
        "Rent",
        "Card payment",
        "Direct debit",
        "Salary",
        "Transfer to savings",
        "Fee",
        "Refund & credit",
    ]
    rows = [heads[:cols]]
    for _ in range(chance.randint(5, 16)):
        row = [
            f"{chance.randint(1, 28):02}/{chance.randint(1, 12):02}/2025",
            chance.choice(words),
            str(chance.randint(1, 40)),
            f"{chance.randint(1, 9999)}.{chance.randint(0, 99):02}",
            f"{chance.randint(1, 99)},{chance.randint(100, 999)}.{chance.randint(0, 99):02}",
            f"R{chance.randint(1000, 9999)}",
        ]
        rows.append(row[:cols])
    return rows


def as_html(rows: Rows) -> str:
    def line(row: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(text)}</{tag}>" for text in row) + "</tr>"

    body = "\n".join(line(row, "td") for row in rows[1:])
    return f"<table>\n<thead>\n{line(rows[0], 'th')}\n</thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def as_gfm(rows: Rows, head: bool = True) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + " --- |" * len(rows[0]))
    return "\n".join(lines)


Break = Callable[[str, random.Random], str]


def _some(markup: str, pattern: str, put: str, chance: random.Random, share: float = 0.2) -> str:
    places = list(re.finditer(pattern, markup))
    chosen = set(chance.sample(range(len(places)), max(1, int(share * len(places))))) if places else set()
    out, at = [], 0
    for number, place in enumerate(places):
        if number in chosen:
            out += [markup[at : place.start()], place.expand(put)]
            at = place.end()
    return "".join([*out, markup[at:]])


HTML_BREAKS: dict[str, Break] = {
    "sound": lambda m, c: m,
    "cells not closed": lambda m, c: _some(m, r"</td>", "", c),
    "no cell closed": lambda m, c: m.replace("</td>", "").replace("</th>", ""),
    "rows not closed": lambda m, c: _some(m, r"</tr>", "", c),
    "rows not opened": lambda m, c: _some(m, r"(?<=</tr>)\s*<tr>", "", c),
    "rows run together": lambda m, c: _some(m, r"</tr>\s*<tr>(?=<td)", "", c),
    "cells not opened": lambda m, c: _some(m, r"(?<=</td>)<td>(?=[^<])", "", c, 0.1),
    "closed by the wrong tag": lambda m, c: _some(m, r"</td>", "</th>", c),
    "closed twice": lambda m, c: _some(m, r"</td>", "</td></td>", c),
    "opened twice": lambda m, c: "<table>\n" + _some(m, r"<tr>", "<tr><tr>", c),
    "head not closed": lambda m, c: m.replace("</thead>", "").replace("<tbody>", ""),
    "table not closed": lambda m, c: (
        m.replace("</table>", "") + "\n\n# Next\n\nMore text.\n\n" + as_html([["x"], ["y"]])
    ),
    "quote not closed": lambda m, c: _some(m, r"<td>", '<td align="right>', c),
    "text behind a cell": lambda m, c: _some(m, r"(\d)</td>", r"</td>\1", c, 0.05),
    "empty cells too many": lambda m, c: _some(m, r"</tr>", "<td></td></tr>", c),
}


def _gfm_breaks() -> dict[str, Break]:
    return {
        "sound": lambda m, c: m,
        "line feed after a cell": lambda m, c: _some(m, r"(?<=\w) \| (?=\S)", " | \n", c, 0.04),
        "line feed in a cell": lambda m, c: _some(m, r"(?<=[a-z]) (?=[a-z])", "\n", c, 0.3),
        "last bar missing": lambda m, c: _some(m, r" \|\n", "\n", c),
        "last bar on a line": lambda m, c: _some(m, r" \|\n(?=\| \d)", "\n|\n", c),
        "blank lines between rows": lambda m, c: _some(m, r"\n(?=\| \d)", "\n\n", c),
        "rows run together": lambda m, c: _some(m, r"\|\n\|(?= \d)", "|", c, 0.1),
    }


def as_latex(rows: Rows) -> str:
    def line(row: Sequence[str]) -> str:
        return " & ".join(re.sub(r"([&%$#_])", r"\\\1", text) for text in row) + r" \\"

    body = "\n".join(map(line, rows[1:]))
    lines = [r"\toprule", line(rows[0]), r"\midrule", body, r"\bottomrule"]
    return "\n".join([rf"\begin{{tabular}}{{{'l' * len(rows[0])}}}", *lines, r"\end{tabular}"])


def read(answer: str) -> tuple[list[TableTree], bool]:
    found = read_answer(answer)
    tables = [tree for b in found.blocks if b.table for tree in read_tables(b.table.to_html())]
    return tables, bool(found.notes)


def best(true: TableTree, tables: Sequence[TableTree]) -> float:
    return max((teds(true, table) for table in tables), default=0.0)


def broken(tables: Sequence[str], breaks: dict[str, Break], plain: Callable[[str], str]) -> dict[str, Any]:
    """By kind, means over the tables of TEDS, and the share of answers of which something was told."""
    rows: dict[str, Any] = {}
    for kind, change in breaks.items():
        scores = []
        for number, markup in enumerate(tables):
            answer = change(markup, random.Random(f"{SEED} {kind} {number}"))
            if kind != "sound" and answer == markup:
                continue
            true = read_tables(plain(markup))[0]
            ours, told = read(answer)
            scores.append((best(true, read_tables(plain(answer))), best(true, ours), told))
        if scores:
            rows[kind] = {
                "tables": len(scores),
                "plain": round(mean(s[0] for s in scores), 4),
                "read": round(mean(s[1] for s in scores), 4),
                "told": round(mean(s[2] for s in scores), 4),
            }
    return rows


def true_tables(data: Path) -> Iterator[str]:
    for path in sorted(data.rglob("*.html")):
        for table in re.findall(r"<table\b.*?</table>", path.read_text(encoding="utf-8"), re.DOTALL):
            if table.count("<tr") > 1 and table.count("<t") < MOST and "<table" not in table[6:]:
                yield table


CASES = ("head repeated", "no head", "head of the first row", "head misread", "told in a line")
OTHERS = ("another head", "after a total", "other columns", "text between")


def pages_of(rows: Rows, case: str, chance: random.Random) -> tuple[list[str], Rows]:
    """The answers about the pages, and the rows of the whole table."""
    head, body = rows[0], rows[1:]
    cut = chance.randint(2, len(body) - 2)
    first, second = body[:cut], body[cut:]
    top = as_gfm([head, *first]) if chance.random() < 0.5 else as_html([head, *first])
    marker = ""
    if case == "head of the first row":
        below = as_gfm(second)
    elif case == "no head":
        below = as_html([head, *second]).replace(as_html([head]).split("\n")[2], "")
    elif case == "head misread":
        below = as_gfm([[head[0].replace("a", "o"), *head[1:]], *second])
    elif case == "told in a line":
        marker, below = (
            "Table 1 (continued)",
            as_html([head, *second]).replace(as_html([head]).split("\n")[2], ""),
        )
    elif case == "another head":
        below = as_gfm([[f"{text} {chance.choice('XYZ')}-class" for text in head], *second])
    elif case == "after a total":
        top = as_gfm([head, *first, ["Total", *[""] * (len(head) - 2), "1.00"]])
        below = as_html([head, *second]).replace(as_html([head]).split("\n")[2], "")
    elif case == "other columns":
        below = as_html([head, *[[*row[1:], row[0]] for row in second]]).replace(
            as_html([head]).split("\n")[2], ""
        )
    elif case == "text between":
        marker, below = "These are the payments of another account.", as_gfm([head, *second])
    else:
        below = as_gfm([head, *second])
    company = chance.choice(["ACME Ltd. | Statement", "Example Bank", "Kontoauszug"])
    pages = [f"{company}\n\nDear customer, these are your payments.\n\n{top}\n\nPage 1 of 3"]
    pages.append("\n\n".join(filter(None, [company, marker, below, "End of the list.", "Page 2 of 3"])))
    pages.append(f"{company}\n\nTerms and conditions apply to all accounts of the bank.\n\nPage 3 of 3")
    return pages, rows


def document(answers: Sequence[str], mark: bool) -> Document:
    pages = [
        Page(
            source="a", number=number, total_pages=len(answers), status="ok",
            method="internvl" if mark else "text-layer", blocks=read_answer(answer).blocks,
        )
        for number, answer in enumerate(answers, start=1)
    ]  # fmt: skip
    return Document.of(pages)


def running() -> dict[str, Any]:
    rows: dict[str, Any] = {}
    lines = {"true": 0, "found": 0, "false": 0}
    for case in (*CASES, *OTHERS):
        merged = {False: 0, True: 0}
        scores = []
        for number in range(MADE):
            chance = random.Random(f"{SEED} {case} {number}")
            table = made(chance)
            answers, whole = pages_of(table, case, chance)
            true = read_tables(as_html(whole))[0]
            for mark in (False, True):
                found = document(answers, mark)
                merged[mark] += bool(found.running_tables)
                if not mark:
                    continue
                for page in found.pages:
                    types = {b.text: b.type for b in page.blocks}
                    foot = f"Page {page.number} of 3"
                    lines["true"] += 2
                    lines["found"] += (types.get(foot) == "footer") + (page.blocks[0].type == "header")
                    lines["false"] += sum(t in {"header", "footer"} for t in types.values()) - (
                        (types.get(foot) == "footer") + (page.blocks[0].type == "header")
                    )
                if case in CASES:
                    pieces = [
                        tree for p in found.pages for t in p.tables for tree in read_tables(t.to_html())
                    ]
                    joined = [tree for t in found.running_tables for tree in read_tables(t.table.to_html())]
                    scores.append((best(true, pieces), best(true, joined or pieces)))
        rows[case] = {"documents": MADE, "without marks": merged[False], "merged": merged[True]}
        if scores:
            rows[case] |= {
                "teds of pieces": round(mean(s[0] for s in scores), 4),
                "teds of the whole": round(mean(s[1] for s in scores), 4),
            }
    found = sum(rows[case]["merged"] for case in CASES)
    wrong = sum(rows[case]["merged"] for case in OTHERS)
    rows["all"] = {
        "recall": round(found / (MADE * len(CASES)), 4),
        "precision": round(found / max(found + wrong, 1), 4),
        "running lines": lines,
    }
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    chance = random.Random(SEED)
    grids = [made(chance) for _ in range(MADE)]
    gfm = MarkdownIt("commonmark").enable("table")
    result = {
        "html, made": broken([as_html(rows) for rows in grids], HTML_BREAKS, str),
        "gfm, made": broken([as_gfm(rows) for rows in grids], _gfm_breaks(), gfm.render),
        "latex, made": {
            "sound": {
                "tables": len(grids),
                "plain": 0.0,
                "read": round(mean(best(read_tables(as_html(r))[0], read(as_latex(r))[0]) for r in grids), 4),
            }
        },
        "running tables": running(),
        "html, open set": broken(list(true_tables(options.data)), HTML_BREAKS, str),
    }
    text = json.dumps(result, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
