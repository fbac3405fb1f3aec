"""Fences around a transcription, and those of a page."""

from __future__ import annotations

import pytest

from internvl_loaders.transcribe.answer.blocks import blocks

PLAIN = "INVOICE 12\nTotal 5.00"


@pytest.mark.parametrize("language", ["", "text", "plaintext", "txt", "ocr"])
@pytest.mark.parametrize(
    "form", ["```{0}\n{1}\n```", "~~~{0}\n{1}\n~~~", "```{0}\n{1}", "````{0}\n{1}\n````\n"]
)
def test_plain_text_in_a_fence_is_the_page(language: str, form: str) -> None:
    assert [(b.type, b.text) for b in blocks(form.format(language, PLAIN))] == [("paragraph", PLAIN)]
    assert [b.text for b in blocks(form.format(language, f"# 12\n\n{PLAIN}"))][-1] == PLAIN


@pytest.mark.parametrize("language", ["markdown", "md", "html", "", "text"])
def test_marks_in_a_fence_are_read(language: str) -> None:
    answer = f"```{language}\n# Title\n\n<table><tr><td>a</td><td>1</td></tr></table>\n```"
    assert [b.type for b in blocks(answer)] == ["heading", "table"]


def test_quotation_marks_around_a_page() -> None:
    assert [b.type for b in blocks(f'"""\n# Title\n\n{PLAIN}\n"""')] == ["heading", "paragraph"]


@pytest.mark.parametrize(("language", "separator"), [("csv", ","), ("tsv", "\t")])
def test_values_apart_are_a_table(language: str, separator: str) -> None:
    rows = [["Item", "Price"], ["Pump", "7.50"]]
    body = "\n".join(separator.join(row) for row in rows)
    (block,) = blocks(f"```{language}\n{body}\n```")
    assert block.table is not None
    assert block.table.grid() == rows


@pytest.mark.parametrize(
    "code",
    [
        '```json\n{"date": "04/05/2018", "total": "95.48"}\n```',
        "```python\nx = 1\n```",
        "```\nx = 1\n```",
        "```\nfor (;;) {\n}\n```",
        "```yaml\na: 1\n```",
    ],
)
def test_code_stays_code(code: str) -> None:
    assert [b.type for b in blocks(code)] == ["code"]


def test_fences_within_a_fence() -> None:
    answer = "```markdown\n# Pipeline\n\n```\nText\n  |\nTokens\n```\n\nThe end of the page.\n```"
    assert [b.type for b in blocks(answer)] == ["heading", "code", "paragraph"]
