r"""A LaTeX table (`tabular` and its kin, `array`) to a grid, cut off maybe."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from internvl_loaders.document import Block
from internvl_loaders.transcribe.answer.grid import MAX_SPAN, AnswerCell, table_block, table_of

TABULARS = r"tabular\*?|tabularx|tabulary|tabu|longtable"
_BEGIN = re.compile(rf"\\begin\{{({TABULARS}|array)\}}")
_EDGE = re.compile(r"\\(begin|end)\{(\w+\*?)\}")
_RULE = re.compile(
    r"\s*(?:\\(hline|midrule|toprule|bottomrule|endhead|endfirsthead|endfoot|endlastfoot|hhline|cline"
    r"|cmidrule"
    r"|addlinespace|specialrule|noalign|rowcolor|Xhline|arrayrulecolor|cdashline|hdashline|morecmidrules)"
    r"(?![a-zA-Z])(?:\s*(?:\([^()]*\)|\[[^\[\]]*\]|\{[^{}]*\}))*)"
)
_FULL_RULES = frozenset(
    {"hline", "midrule", "toprule", "bottomrule", "hhline", "Xhline", "endhead", "endfirsthead"}
)
_STYLED = (
    r"textbf|textit|emph|underline|texttt|textrm|textsf|textsc|textup|textnormal|text|mbox|makecell"
    r"|shortstack|thead"
    r"|mathrm|mathbf|bm|textsuperscript|textsubscript|uline|ul"
)
_STYLE = re.compile(rf"\\(?:{_STYLED})\s*(?:\[[^\[\]]*\])?\s*\{{([^{{}}]*)\}}")
_COLOURED = re.compile(r"\\(?:textcolor|colorbox)(?:\[[^\[\]]*\])?\{[^{}]*\}\{([^{}]*)\}")
_DROPPED = re.compile(
    r"\\(?:cellcolor|color|label|hspace\*?|vspace\*?|phantom)(?:\[[^\[\]]*\])?\{[^{}]*\}"
    r"|\\(?:centering|raggedright|raggedleft|small|footnotesize|scriptsize|tiny|large|normalsize|bfseries"
    r"|itshape|bf|it"
    r"|noindent|hfill|arraybackslash)(?![a-zA-Z])\s*"
)
_GROUP = re.compile(r"(?<![\\\w\]}*])\{([^{}]*)\}")
_BRACES = re.compile(r"(?<!\\)\{([^{}]*)\}")
_CHARACTERS = {
    r"\%": "%", r"\&": "&", r"\_": "_", r"\#": "#", r"\$": "$", r"\{": "{", r"\}": "}", "~": " ", r"\ ": " ",
    r"\,": " ", r"\;": " ", r"\:": " ", "---": "—", "--": "–", "``": "“", "''": "”",
}  # fmt: skip
_NAMES = {
    "quad": " ", "qquad": " ", "newline": "\n", "textbackslash": "\\", "textasciitilde": "~",
    "checkmark": "✓", "textdegree": "°", "euro": "€", "texteuro": "€", "pounds": "£", "textemdash": "—",
    "textendash": "–", "ldots": "…", "dots": "…", "textbar": "|", "textless": "<", "textgreater": ">",
}  # fmt: skip
_SPECIAL = re.compile("|".join(map(re.escape, _CHARACTERS)) + r"|\\\\\*?(?:\[[^\[\]]*\])?")
_NAMED = re.compile(rf"\\({'|'.join(sorted(_NAMES, key=len, reverse=True))})(?![a-zA-Z])(?:\{{\}})?\s?")
_MATH = re.compile(r"(?<!\\)\$[^$]*(?<!\\)\$|\\\(.*?\\\)", re.DOTALL)
_ROW_ENDS = ("\\\\", r"\tabularnewline")
_MARK = re.compile(
    r"\\\\\*?(?:\[[^\[\]]*\])?|\\tabularnewline|\\(?:begin|end)\{\w+\*?\}|\\.|[{}&]", re.DOTALL
)
_DEPTH = 8
"""Commands within commands."""


@dataclass(slots=True)
class _Row:
    cells: list[AnswerCell] = field(default_factory=list)
    ruled: bool = False
    """Whether a rule over all columns stands above it."""
    bold: bool = True


def table_end(text: str, begin: int, name: str) -> int | None:
    r"""Behind the `\end` of the environment `name` that begins there; None where it was cut off."""
    depth = 0
    for edge in _EDGE.finditer(text, begin):
        if edge[2] == name:
            depth += 1 if edge[1] == "begin" else -1
            if depth == 0:
                return edge.end()
    return None


def latex_table(markup: str, notes: list[str]) -> Iterator[Block]:
    r"""The captions and grids of `markup`, which is a `table` or a grid itself; a grid of nothing stays as it
    is."""
    captions = [
        c for at in re.finditer(r"\\caption\*?(?:\[[^\[\]]*\])?", markup) if (c := _caption(markup, at.end()))
    ]
    yield from (Block(type="caption", text=caption) for caption in captions)
    at = 0
    while begin := _BEGIN.search(markup, at):
        end = table_end(markup, begin.start(), begin[1])
        if end is None:
            notes.append("a table has no end: it may be cut off")
        at = end or len(markup)
        inner = markup[begin.end() : at].removesuffix(rf"\end{{{begin[1]}}}")
        table = table_of([row.cells for row in _rows(_without_columns(inner, begin[1]))], notes)
        yield (
            table_block(table) if table else Block(type="paragraph", text=markup[begin.start() : at].strip())
        )


def is_grid(formula: str) -> bool:
    """Whether a formula is no more than a ruled array or one of words: a table, and no matrix."""
    begin = re.match(r"\s*\\begin\{(array|tabular)\}", formula)
    if begin is None or table_end(formula, 0, begin[1]) != len(formula.rstrip()):
        return False
    columns = re.match(r"\s*\{([^{}]*)\}", formula[begin.end() :])
    return r"\hline" in formula or bool(columns and "|" in columns[1]) or formula.count(r"\text{") > 2


def _caption(markup: str, at: int) -> str:
    argument, _ = _argument(markup, at)
    return plain(argument)


def _argument(text: str, at: int, opens: str = "{", closes: str = "}") -> tuple[str, int]:
    """What stands in braces there, and where it ends; nothing where there are none."""
    while at < len(text) and text[at].isspace():
        at += 1
    if not text.startswith(opens, at):
        return "", at
    depth = 0
    for place in range(at, len(text)):
        if text[place] in "{}[]" and text[place - 1 : place] != "\\":
            depth += (text[place] == opens) - (text[place] == closes)
            if depth == 0:
                return text[at + 1 : place], place + 1
    return text[at + 1 :], len(text)


def _without_columns(inner: str, name: str) -> str:
    at = 0
    if name in {"tabular*", "tabularx", "tabulary"}:
        _, at = _argument(inner, at)
    _, at = _argument(inner, at, "[", "]")
    _, at = _argument(inner, at)
    return inner[at:]


def _rows(body: str) -> list[_Row]:
    """Rows whose cells under a tall one, which LaTeX writes empty, are gone."""
    rows: list[_Row] = []
    ruled_below = False
    for line in _split(body):
        text = re.sub(r"\\caption\*?(?:\[[^\[\]]*\])?\{[^{}]*\}|\\label\{[^{}]*\}", "", line[0])
        ruled = False
        while rule := _RULE.match(text):
            ruled = ruled or rule[1] in _FULL_RULES
            text = text[rule.end() :]
        ruled_below = ruled
        if not text.strip() and len(line) == 1:
            if rows and ruled:
                rows.append(_Row(ruled=True))
            continue
        row = _Row(ruled=ruled)
        for cell in (text, *line[1:]):
            row.bold = row.bold and (
                not cell.strip() or r"\textbf" in cell or r"\bf" in cell or r"\thead" in cell
            )
            row.cells.append(_cell(cell))
        rows.append(row)
    rows = _heads([row for row in rows if row.cells], ruled_below)
    return _uncovered(rows)


def _split(body: str) -> Iterator[list[str]]:
    r"""Cells by row, at every `&` and `\\` that stands in no braces or environment."""
    row: list[str] = []
    start = braces = environments = 0
    for mark in _MARK.finditer(body):
        token = mark[0]
        if token in {"{", "}"}:
            braces = max(braces + (1 if token == "{" else -1), 0)
        elif token.startswith(r"\begin{"):
            environments += 1
        elif token.startswith(r"\end{"):
            environments = max(environments - 1, 0)
        elif not braces and not environments and (token == "&" or token.startswith(_ROW_ENDS)):
            row.append(body[start : mark.start()])
            start = mark.end()
            if token != "&":
                yield row
                row = []
    if row or body[start:].strip():
        yield [*row, body[start:]]


def _cell(text: str) -> AnswerCell:
    wide = tall = 1
    text = text.strip()
    for _ in range(_DEPTH):
        if many := re.match(r"\\multicolumn(?![a-zA-Z])", text):
            count, at = _argument(text, many.end())
            _, at = _argument(text, at)
            wide = max(_count(count), 1)
        elif many := re.match(r"\\multirow(?:cell)?(?![a-zA-Z])", text):
            _, at = _argument(text, many.end(), "[", "]")
            count, at = _argument(text, at)
            _, at = _argument(text, at, "[", "]")
            if not text.startswith(r"\multirowcell"):
                _, at = _argument(text, at)
            _, at = _argument(text, at, "[", "]")
            tall = _count(count)
        else:
            break
        inner, end = _argument(text, at)
        text = f"{inner} {text[end:]}".strip()
    return AnswerCell(plain(text), row_span=tall, col_span=wide)


def _count(text: str) -> int:
    found = re.fullmatch(r"\s*(-?\d{1,6})\s*", text, re.ASCII)
    return max(-MAX_SPAN, min(int(found[1]), MAX_SPAN)) if found and int(found[1]) else 1


def plain(text: str) -> str:
    """As printed; formulas, and commands that it does not know, as they stand."""
    parts, at = [], 0
    for formula in _MATH.finditer(text):
        parts += [_printed(text[at : formula.start()]), formula[0]]
        at = formula.end()
    parts.append(_printed(text[at:]))
    lines = (" ".join(line.split()) for line in "".join(parts).split("\n"))
    return "\n".join(line for line in lines if line)


def _printed(text: str) -> str:
    text = text.replace("\n", " ")
    for _ in range(_DEPTH):
        before = text
        text = _STYLE.sub(r"\1", _COLOURED.sub(r"\1", _DROPPED.sub("", _GROUP.sub(r"\1", text))))
        if text == before:
            break
    text = _BRACES.sub(r"\1", text)
    text = _SPECIAL.sub(lambda mark: _CHARACTERS.get(mark[0], "\n"), text)
    return _NAMED.sub(lambda name: _NAMES[name[1]], text)


def _heads(rows: list[_Row], ruled_below: bool) -> list[_Row]:
    """The rows over the one rule between rows are its head; where every row has one, the first is if bold."""
    rules = [place for place, row in enumerate(rows) if row.ruled and place]
    if (len(rules) == 1 and rules[0] <= max(len(rows) // 2, 1)) or (
        rules and (rows[0].bold or (rows[0].ruled and ruled_below and len(rules) < len(rows) - 1))
    ):
        head = rules[0]
    else:
        head = 0
    for row in rows[:head]:
        row.cells = [replace(cell, header=True) for cell in row.cells]
    return rows


def _uncovered(rows: list[_Row]) -> list[_Row]:
    grid: list[dict[int, AnswerCell]] = []
    for row in rows:
        col, at = 0, {}
        for cell in row.cells:
            at[col] = cell
            col += cell.col_span
        grid.append(at)
    for place, at in enumerate(grid):
        for col, cell in list(at.items()):
            if cell.row_span < 0:
                _raise(grid, place, col, cell)
    for place, at in enumerate(grid):
        for col, cell in list(at.items()):
            for below in range(1, min(cell.row_span, len(grid) - place)):
                under = [grid[place + below].get(c) for c in range(col, col + cell.col_span)]
                if any(one is not None and one.text for one in under):
                    at[col] = replace(cell, row_span=below)
                    break
                for c in range(col, col + cell.col_span):
                    grid[place + below].pop(c, None)
    for row, at in zip(rows, grid, strict=True):
        row.cells = [at[col] for col in sorted(at)]
    return rows


def _raise(grid: list[dict[int, AnswerCell]], place: int, col: int, cell: AnswerCell) -> None:
    """A cell that is written in the last of its rows stands in the first."""
    first = max(place + cell.row_span + 1, 0)
    above = grid[first].get(col)
    if first < place and (above is None or not above.text):
        header = above.header if above else cell.header
        grid[first][col] = replace(cell, row_span=place - first + 1, header=header)
        grid[place][col] = AnswerCell("", col_span=cell.col_span)
    else:
        grid[place][col] = replace(cell, row_span=1)
