"""Pages of the open set with their true lines, and the words that rapidocr reads of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from internvl_llm.media.limits import Limits
from internvl_loaders.document import Block, Table
from internvl_loaders.evaluate.truth import Entry, load_manifest, load_truth
from internvl_loaders.ground.witness import Witness, WitnessWord
from internvl_loaders.values import Cell

ROW = 0.5
"""Share of a line's height by which lines overlap that stand side by side."""


@dataclass(frozen=True)
class TruePage:
    """`rows` are the page's lines from the top down, each of the pieces that stand side by side; a piece is
    its text and where it begins, as a share of the page's width (0 where the truth has no boxes)."""

    name: str
    kind: str
    rows: tuple[tuple[tuple[str, float], ...], ...]
    witness: Witness

    @property
    def lines(self) -> list[str]:
        return [" ".join(text for text, _ in row) for row in self.rows]


def pages(
    truth: Path, words: Path, kinds: Sequence[str] = ("receipts", "scans"), *, kept_only: bool = False
) -> Iterator[TruePage]:
    """First pages, upright and not made worse; those whose truth is text. `words` is filled with what is not
    in it yet, but with `kept_only`."""
    for entry in load_manifest(truth):
        kind = entry.path.partition("/")[0]
        if kind not in kinds or (entry.pages or 1) > 1:  # whose truth is that of all pages
            continue
        rows = () if kept_only and not _kept(words, entry.path).exists() else _rows(truth, entry)
        if rows:
            yield TruePage(entry.path, kind, rows, witness(truth, words, entry.path))


def _rows(truth: Path, entry: Entry) -> tuple[tuple[tuple[str, float], ...], ...]:
    for part in entry.gt:
        path = truth / part.path
        if part.type.startswith("lines_boxes"):
            return _side_by_side(json.loads(path.read_text(encoding="utf-8"))["lines"])
    text = load_truth(truth, entry).text if entry.gt else None
    lines = [line.strip() for line in (text or "").splitlines()]
    return tuple(((line, 0.0),) for line in lines if line)


def _side_by_side(lines: Sequence[dict[str, Any]]) -> tuple[tuple[tuple[str, float], ...], ...]:
    boxes = [(min(line["box"][1::2]), max(line["box"][1::2]), min(line["box"][::2])) for line in lines]
    width = max(max(line["box"][::2]) for line in lines)
    rows: list[list[int]] = []
    for n in sorted(range(len(lines)), key=lambda n: boxes[n][0] + boxes[n][1]):
        top, bottom, _ = boxes[n]
        if rows:
            last = boxes[rows[-1][-1]]
            if min(bottom, last[1]) - max(top, last[0]) >= ROW * min(bottom - top, last[1] - last[0]):
                rows[-1].append(n)
                continue
        rows.append([n])
    return tuple(
        tuple((lines[n]["text"], boxes[n][2] / width) for n in sorted(row, key=lambda n: boxes[n][2]))
        for row in rows
    )


def witness(truth: Path, words: Path, path: str, page: int = 1) -> Witness:
    """What rapidocr reads of a page, from the folder `words` or into it."""
    kept = _kept(words, path, page)
    if not kept.exists():
        words.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(_read(truth / path, page), ensure_ascii=False), encoding="utf-8")
    told = json.loads(kept.read_text(encoding="utf-8"))
    width, height = told["points"]
    found = tuple(WitnessWord(*word[:7]) for word in told["words"])
    return Witness(found, "rapidocr", told["confidence"], width / height)


def _kept(words: Path, path: str, page: int = 1) -> Path:
    return words / f"{path.replace('/', '__')}.{page}.json"


def _read(path: Path, page: int) -> dict[str, Any]:
    from internvl_loaders.readers.open import open_document
    from internvl_loaders.transcribe.ocr.rapidocr import RapidOCRTranscriber

    document = open_document(path, name=str(path), password=None, limits=Limits())
    image = document.render(page - 1, 200, Limits().max_pixels)
    read = RapidOCRTranscriber(2).read(image, image.width / document.size(page - 1)[0] * 72)
    width, height = read.content.width, read.content.height
    return {
        "points": [width, height],
        "confidence": read.confidence,
        "words": [
            [
                *(span.text, span.x0 / width, span.y0 / height, span.x1 / width, span.y1 / height),
                *(span.confidence, span.line),
            ]
            for span in read.content.spans
        ],
    }


def rows_form(page: TruePage) -> list[Block]:
    """Lines as they stand side by side, one a line of one paragraph."""
    return [Block(type="paragraph", text="\n".join(page.lines))]


def joined_form(page: TruePage) -> list[Block]:
    """Without line breaks."""
    return [Block(type="paragraph", text=" ".join(page.lines))]


def columns_form(page: TruePage) -> list[Block]:
    """What begins a row first, then what stands second in each, and so on."""
    deepest = max(len(row) for row in page.rows)
    columns = [[row[n][0] for row in page.rows if len(row) > n] for n in range(deepest)]
    return [Block(type="paragraph", text="\n".join(column)) for column in columns]


def table_form(page: TruePage) -> list[Block]:
    """One table, a cell a piece; what stands alone spans all."""
    cols = max(len(row) for row in page.rows)
    cells = [
        Cell(row=r, col=c, text=text, col_span=cols - c if c == len(row) - 1 else 1)
        for r, row in enumerate(page.rows)
        for c, (text, _) in enumerate(row)
    ]
    return [Block(type="table", table=Table(rows=len(page.rows), cols=cols, cells=tuple(cells)))]


FORMS = {"rows": rows_form, "joined": joined_form, "columns": columns_form, "table": table_form}
