"""Printed boxes told from bullets."""

from __future__ import annotations

import pytest

from internvl_loaders.structure import structure
from internvl_loaders.structure.forms import filled_in
from tests.kit.typeset import Setter


def read(*lines: str, ocr: bool = False, indents: tuple[int, ...] = ()) -> list[tuple[str | None, str]]:
    setter = Setter(ocr=ocr)
    for n, line in enumerate(lines):
        setter.line(line, 60 + (indents[n] if indents else 0), 100 + 14 * n)
    content, _ = filled_in(setter.content)
    return [(block.marker, block.text) for block in structure(content)]


@pytest.mark.parametrize(("empty", "ticked"), ["□■", "○●", "☐☒", "☐☑", "◻☑", "□☒", "❑■", "◯◉", "☐■"])
def test_empty_and_ticked_below_one_another_are_boxes(empty: str, ticked: str) -> None:
    assert read(f"{empty} single", f"{ticked} married", f"{empty} divorced") == [
        ("[ ]", "single"),
        ("[x]", "married"),
        ("[ ]", "divorced"),
    ]


@pytest.mark.parametrize("ocr", [False, True])
@pytest.mark.parametrize(("empty", "ticked"), ["□■", "○●", "☐☑"])
def test_boxes_beside_one_another(empty: str, ticked: str, ocr: bool) -> None:
    ((_, text),) = read(f"Gender: {empty} female {ticked} male", ocr=ocr)
    assert text == "Gender: [ ] female [x] male"


def test_empty_boxes_spread_over_a_line() -> None:
    assert read("Smoker: □ yes □ no")[0][1] == "Smoker: [ ] yes [ ] no"


@pytest.mark.parametrize("bullet", "■□●○❑▪")
def test_bullets_of_one_kind_stay_bullets(bullet: str) -> None:
    assert read(f"{bullet} apples", f"{bullet} pears", f"{bullet} plums") == [
        (bullet, "apples"),
        (bullet, "pears"),
        (bullet, "plums"),
    ]


def test_bullets_of_nested_lists_stay_bullets() -> None:
    found = read("● fruit", "○ apples", "○ pears", "● nuts", "■ oak", indents=(0, 20, 20, 0, 20))
    assert [marker for marker, _ in found] == ["●", "○", "○", "●", "■"]


@pytest.mark.parametrize(
    "line",
    ["which was to be shown. □", "Skill ● ● ● ○ ○", "■ 2022 ■ 2023", "f( ) and a[ ] are calls", "□ □ □ □"],
)
def test_what_looks_like_boxes(line: str) -> None:
    assert (
        "[ ]" not in (text := read("Some words before it", line)[-1][1]).replace("a[ ]", "")
        and "[x]" not in text
    )


@pytest.mark.parametrize("brackets", [("[ ]", "[x]"), ("( )", "(X)")])
def test_brackets(brackets: tuple[str, str]) -> None:
    assert read(f"{brackets[0]} first", f"{brackets[1]} second") == [("[ ]", "first"), ("[x]", "second")]
