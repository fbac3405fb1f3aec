import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from internvl_loaders.errors import OptionError
from internvl_loaders.evaluate import DocumentReading, Evaluation, PageReading, evaluate
from internvl_loaders.evaluate.report import comparison, report

TABLE = "<table><tr><td>1</td><td>2</td></tr></table>"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Five documents: good, good and rotated copy, with a table on page 2, failing, without truth."""
    documents: list[dict[str, Any]] = [
        {"path": "a.png", "kind": ["scan"], "gt": [{"path": "a.txt", "type": "text_lines"}]},
        {
            "path": "a90.png",
            "kind": ["scan", "rotated"],
            "derived": "from a.png: rotated",
            "gt": [{"path": "a.txt", "type": "text_lines"}],
        },
        {
            "path": "t.pdf",
            "kind": ["table"],
            "password": "secret",
            "gt": [
                {"path": "t.html", "type": "table_html"},
                {"path": "t.json", "type": "key_values"},
                {"path": "t.jsonl", "type": "olmocr_checks"},
            ],
        },
        {"path": "bad.pdf", "kind": ["table"], "gt": [{"path": "a.txt", "type": "text_lines"}]},
        {"path": "odd.pdf", "kind": ["odd"], "gt": [{"path": "x", "type": "layout"}]},
    ]
    (tmp_path / "manifest.jsonl").write_text("\n".join(map(json.dumps, documents)))
    (tmp_path / "a.txt").write_text("abcd efgh")
    (tmp_path / "t.html").write_text(TABLE.replace("<table", '<table data-page="2"'))
    (tmp_path / "t.json").write_text('{"fields": {"total": "12.50", "name": "absent"}}')
    (tmp_path / "t.jsonl").write_text(
        '{"id": "one", "page": 2, "type": "present", "text": "12.50"}\n'
        '{"id": "two", "page": 1, "type": "present", "text": "12.50"}\n'
        '{"id": "three", "page": 2, "type": "table", "cell": "1", "right": "2"}\n'
    )
    (tmp_path / "x").touch()
    return tmp_path


def read(path: Path, password: str | None) -> DocumentReading:
    if path.name == "bad.pdf":
        raise ValueError("broken [red]\x1b[31m[/]")
    pages = {
        "a.png": [PageReading(number=1, text="abcd\nefgh")],
        "a90.png": [PageReading(number=1, text="abcx efgh")],
        "t.pdf": [
            PageReading(number=1, failed="too dark"),
            PageReading(number=2, text="12,50 12.50", tables=(TABLE,)),
        ],
    }
    if path.name == "t.pdf":
        assert password == "secret"
    return DocumentReading(pages=tuple(pages.get(path.name, [])), seconds=0.5)


def test_documents(directory: Path) -> None:
    good, rotated, table, bad, odd = evaluate(directory, read=read).documents
    assert good.scores == {"cer": 0, "edit_distance": 0, "word_recall": 1, "word_f1": 1}
    assert rotated.scores["cer"] == pytest.approx(1 / 9)
    assert table.scores == {
        "teds": 1,
        "teds_s": 1,
        "fields": 0.5,
        "fields_lenient": 0.5,
        "checks": pytest.approx(2 / 3),
    }
    assert (table.status, table.reason, table.failed_checks) == ("partial", "page 1: too dark", ("two",))
    assert (bad.status, bad.reason, bad.scores["cer"]) == ("failed", "ValueError: broken [red]\x1b[31m[/]", 1)
    assert (odd.status, odd.scores) == ("ok", {})


def test_summaries(directory: Path) -> None:
    result = evaluate(directory, read=read)
    assert list(result.kinds) == ["odd", "rotated", "scan", "table"]
    scan = result.kinds["scan"]
    assert (scan.documents, scan.pages, scan.pages_per_second) == (2, 2, 2)
    assert scan.scores["cer"].mean == scan.scores["cer"].median == pytest.approx(1 / 18)
    assert (result.overall.failed, result.overall.failed_with_truth) == (1, 1)
    assert result.overall.scores["cer"].count == 3
    assert result.overall.scores["cer"].median == pytest.approx(1 / 9)
    assert (result.overall.tables_true, result.overall.tables_read) == (1, 1)
    assert result.truths["text_lines"].documents == 3
    assert (result.fields["total"].exact, result.fields["name"].exact) == (1, 0)


def test_copy_beside_its_original(directory: Path) -> None:
    (twin,) = evaluate(directory, read=read).twins
    assert (twin.path, twin.original, twin.metric) == ("a90.png", "a.png", "cer")
    assert (twin.value, twin.original_value) == (pytest.approx(1 / 9), 0)


def test_unknown_truth_is_not_silent(directory: Path) -> None:
    (skipped,) = evaluate(directory, read=read).skipped
    assert (skipped.path, skipped.type, skipped.reason) == ("x", "layout", "unknown type")


def test_choice_of_documents(directory: Path) -> None:
    def chosen(**choice: Any) -> list[str]:
        return [d.path for d in evaluate(directory, read=read, **choice).documents]

    assert chosen(kinds=["rotated", "odd"]) == ["a90.png", "odd.pdf"]
    assert chosen(match=["a*"]) == ["a.png", "a90.png"]
    assert chosen(match=["a*"], kinds=["rotated"]) == ["a90.png"]
    with pytest.raises(OptionError, match="Kinds here are odd, rotated, scan, table"):
        chosen(kinds=["receipt"])


def test_json_round_trip(directory: Path) -> None:
    result = evaluate(directory, read=read)
    assert json.loads(result.to_json())["schema"] == "internvl-evaluation/1"
    assert Evaluation.from_json(result.to_json()) == result


def test_reports_fit_eighty_columns(directory: Path) -> None:
    result = evaluate(directory, read=read)
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(report(result))
    text = console.export_text()
    for expected in (
        "rotated",
        "ValueError: broken [red][31m[/]",
        "too dark",
        "layout",
        "0.111",
        "text_lines",
    ):
        assert expected in text
    assert "…" not in text
    console.print(comparison([result, result.model_copy(update={"reader": "other"})]))
    assert "other" in console.export_text()


def test_progress(directory: Path) -> None:
    told: list[tuple[int, int, str]] = []
    evaluate(directory, read=read, match=["a*"], progress=lambda *now: told.append(now))
    assert told == [(0, 2, "a.png"), (1, 2, "a90.png")]
