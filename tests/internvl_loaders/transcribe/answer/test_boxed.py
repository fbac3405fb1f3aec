"""Places that a model tells within a transcription."""

from __future__ import annotations

import pytest

from internvl_loaders.document import Box
from internvl_loaders.transcribe.answer.blocks import blocks

FIRST, SECOND = Box(x0=0.1, y0=0.05, x1=0.3, y1=0.09), Box(x0=0.1, y0=0.8, x1=0.3, y1=0.84)


@pytest.mark.parametrize(
    "answer",
    [
        "<ref>INVOICE</ref><box>[[100, 50, 300, 90]]</box>\n"
        "<ref>Total 5.00</ref><box>[[100, 800, 300, 840]]</box>",
        "<ref>INVOICE</ref><box>[100, 50, 300, 90]</box>\n\n"
        "<ref>Total 5.00</ref> <box> [[100,800,300,840]] </box>",
        "<ref>INVOICE</ref><box>[[300, 90, 100, 50]]</box>\n<ref>Total 5.00</ref><box>[[100, 800, 300, 840]]",
        "INVOICE[[100, 50, 300, 90]]\nTotal 5.00[[100, 800, 300, 840]]",
        "INVOICE<box>[[100, 50, 300, 90]]</box>\nTotal <ref>5.00</ref><box>[[100, 800, 300, 840]]</box>",
        '[{"bbox_2d": [100, 50, 300, 90], "text_content": "INVOICE"},'
        ' {"bbox_2d": [100, 800, 300, 840], "text_content": "Total 5.00"}]',
        '```json\n[{"bbox_2d": [100, 50, 300, 90], "label": "INVOICE"},\n'
        ' {"bbox_2d": [100, 800, 300, 840], "label": "Total 5.00"}]\n```',
        "<ref>INVOICE</ref><box>[[100, 50, 200, 90], [200, 50, 300, 90]]</box>\n"
        "<ref>Total 5.00</ref><box>[[0.1, 0.8, 0.3, 0.84]]</box>",
    ],
)
def test_each_block_has_its_box(answer: str) -> None:
    assert [(b.text, b.box) for b in blocks(answer)] == [("INVOICE", FIRST), ("Total 5.00", SECOND)]


def test_marks_and_several_lines_within_a_label() -> None:
    heading, address = blocks(
        "<ref># INVOICE</ref><box>[[100, 50, 300, 90]]</box>\n"
        "<ref>1 Road\nTown</ref><box>[[100, 800, 300, 840]]</box>"
    )
    assert (heading.type, heading.text, heading.box) == ("heading", "INVOICE", FIRST)
    assert (address.text, address.box) == ("1 Road\nTown", SECOND)


def test_cells_have_theirs() -> None:
    box = "<box>[[100, 50, 300, 90]]</box>"
    html = f"<table><tr><td><ref>a</ref>{box}</td><td>b</td></tr></table>"
    for answer in (html, f"| <ref>a</ref>{box} | b |\n|---|---|\n| c | d |"):
        (block,) = blocks(answer)
        assert block.table is not None
        assert [(c.text, c.box) for c in block.table.cells][:2] == [("a", FIRST), ("b", None)]


def test_what_is_no_box_leaves_the_words() -> None:
    assert [(b.text, b.box) for b in blocks("<ref>Total</ref><box>null</box>")] == [("Total", None)]
    assert [(b.text, b.box) for b in blocks("<ref>Total</ref><box>[[0, 0, 0, 0]]</box>")] == [("Total", None)]
    assert blocks("see [[1, 2, 3, 4]]")[0].text == "see [[1, 2, 3, 4]]"
    assert [b.type for b in blocks('[{"text": "a", "price": 3, "box": [1, 2, 3, 4]}]')] == ["paragraph"]
