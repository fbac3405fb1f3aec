import json
from pathlib import Path
from typing import Any

import pytest

from internvl_loaders.errors import DamagedDocumentError, DocumentNotFoundError
from internvl_loaders.evaluate.truth import Entry, Truth, load_manifest, load_truth, original_of, printed_rows


def truth(folder: Path, *files: tuple[str, str]) -> Truth:
    """Of a document with truth files of these types and texts."""
    gt = []
    for number, (type_, text) in enumerate(files):
        (folder / f"{number}.gt").write_text(text, encoding="utf-8")
        gt.append({"path": f"{number}.gt", "type": type_})
    return load_truth(folder, Entry.model_validate({"path": "a.pdf", "gt": gt}))


def line(text: str, x: int, y: int, height: int = 10) -> dict[str, Any]:
    return {"text": text, "box": [x, y, x + 50, y, x + 50, y + height, x, y + height]}


def test_printed_rows_go_down_and_right_whatever_the_order() -> None:
    lines = [line("5.00", 200, 42), line("THE SHOP", 0, 0, 20), line("TOTAL", 0, 40), line("END", 0, 60)]
    assert printed_rows(lines) == ["THE SHOP", "TOTAL 5.00", "END"]


def test_printed_rows_of_a_tilted_page_stay_apart() -> None:
    lines = [line("a", 0, 0), line("b", 100, 4), line("c", 0, 12), line("d", 100, 16)]
    assert printed_rows(lines) == ["a b", "c d"]


def test_lines_and_key_values(tmp_path: Path) -> None:
    found = truth(
        tmp_path,
        (
            "lines_boxes+key_values",
            json.dumps({"fields": {"total": "5"}, "lines": [line("B", 9, 0), line("A", 0, 0)]}),
        ),
    )
    assert (found.text, found.fields, found.types) == ("A B", {"total": "5"}, ("lines_boxes+key_values",))


def test_remark_in_parentheses(tmp_path: Path) -> None:
    assert truth(tmp_path, ("text_hand_corrected (a benchmark)", "x")).types == ("text_hand_corrected",)
    assert truth(tmp_path, ("text_lines (same text on each of the 3 pages)", "x")).text == "x\nx\nx"


def test_text_beside_tables_checks_and_a_reference(tmp_path: Path) -> None:
    found = truth(
        tmp_path,
        ("markdown_some_regression", "# x"),
        ("text_from_pdf_layer", "x"),
        ("table_html", "<table data-page=2><tr><td>1</td></tr></table>"),
        ("olmocr_checks", '{"type": "present", "text": "x"}\n\n{"type": "math", "math": "x"}\n'),
    )
    assert (found.text, found.reference, [t.page for t in found.tables]) == ("x", "# x", [2])
    assert [c["type"] for c in found.checks] == ["present"]
    (skipped,) = found.skipped
    assert (skipped.type, skipped.reason) == ("olmocr_checks", "unknown or incomplete check 'math'")


def test_key_values_of_other_makers(tmp_path: Path) -> None:
    invoice = truth(
        tmp_path, ("key_values_invoice2data", '[{"issuer": "X", "amount": 4.1, "lines": [], "vat": "1"}]')
    )
    assert invoice.fields == {"amount": 4.1, "vat": "1"}
    xml = truth(
        tmp_path,
        ("key_values+line_items (CII XML)", '{"fields": {"due": "-8.79", "no": "12", "currency": "EUR"}}'),
    )
    assert xml.fields == {"due": -8.79, "no": "12"}
    assert truth(tmp_path, ("key_values", '{"fields": {"issuer": "X"}}')).fields == {"issuer": "X"}


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    found = truth(
        tmp_path,
        ("layout_boxes", "{}"),
        ("text_lines", "a"),
        ("text_from_pdf_layer", "b"),
        ("key_values", "["),
    )
    assert (found.text, found.types) == ("a", ("text_lines",))
    assert [s.path for s in found.skipped] == ["0.gt", "2.gt", "3.gt"]
    reasons = [s.reason for s in found.skipped]
    assert reasons[0] == "unknown type"
    assert reasons[1] == "another truth already gave the text and text_type"
    assert reasons[2].startswith("not a key_values file")


def test_missing_truth_file(tmp_path: Path) -> None:
    entry = Entry.model_validate({"path": "a.pdf", "gt": [{"path": "no.txt", "type": "text_lines"}]})
    found = load_truth(tmp_path, entry)
    assert found.text is None
    assert [s.reason for s in found.skipped] == ["No such file or directory"]


def test_manifest(tmp_path: Path) -> None:
    (tmp_path / "manifest.jsonl").write_text(
        '{"path": "a.pdf", "kind": ["scan"], "pages": null, "bytes": 5}\n\n{"path": "b.pdf"}\n'
    )
    one, two = load_manifest(tmp_path)
    assert (one.path, one.kind, one.pages, two.kind, two.gt) == ("a.pdf", ("scan",), None, (), ())


def test_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(DocumentNotFoundError, match=r"no manifest\.jsonl"):
        load_manifest(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "line 2: .*JSON"),
        ('{"kind": []}', "line 2: path: Field required"),
        ('{"path": "../a.pdf"}', "line 2: path '../a.pdf' leaves"),
        (
            '{"path": "a", "gt": [{"path": "/etc/passwd", "type": "text_lines"}]}',
            "line 2: path '/etc/passwd' leaves",
        ),
    ],
)
def test_bad_line_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "manifest.jsonl").write_text(f'{{"path": "good.pdf"}}\n{text}\n')
    with pytest.raises(DamagedDocumentError, match=message):
        load_manifest(tmp_path)


@pytest.mark.parametrize(
    ("path", "derived", "original"),
    [
        ("b/rot_a.jpg", "shrunk; from a/a.jpg: rotated 90 deg", "a/a.jpg"),
        ("b/rot_a.jpg", "from a/unknown.jpg: rotated", None),
        ("a/a_rotated_180.jpg", None, "a/a.jpg"),
        ("a/a.jpg", None, None),
    ],
)
def test_original_of_a_degraded_copy(path: str, derived: str | None, original: str | None) -> None:
    entry = Entry(path=path, derived=derived)
    assert original_of(entry, frozenset({"a/a.jpg", path})) == original


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        ("key_values", "[]"),
        ("key_values", "[null]"),
        ("key_values", "[5]"),
        ("lines_boxes+key_values", '{"fields": null, "lines": []}'),
        ("lines_boxes+key_values", '{"fields": {}, "lines": [{"box": []}]}'),
        ("lines_boxes+key_values", "[" * 100_000),
        ("olmocr_checks", "null"),
        ("olmocr_checks", "[1]"),
        ("olmocr_checks", '{"type": []}'),
        ("olmocr_checks", '{"type": "order", "before": "x"}'),
    ],
)
def test_truth_of_another_shape_is_named(tmp_path: Path, type_: str, text: str) -> None:
    found = truth(tmp_path, (type_, text))
    assert not found.fields
    assert not found.checks
    assert len(found.skipped) == 1
