"""Numbers of lines are no text; those of lists and tables are."""

from __future__ import annotations

import pytest

from internvl_loaders.structure import structure
from internvl_loaders.structure.line_numbers import without_line_numbers
from tests.kit.typeset import PROSE, Setter

TEXT = [" ".join(PROSE[n : n + 8]) for n in (0, 7, 14, 21, 28, 35)] * 4


def numbered(
    lines: list[str],
    *,
    first: int = 1,
    step: int = 1,
    pitch: float = 20,
    left: bool = False,
    ocr: bool = False,
) -> Setter:
    page = Setter(600, 800, ocr=ocr)
    for n, line in enumerate(lines):
        number = str(first + n)
        if not line or (first + n) % step == 0:
            page.line(number, 50 if left else 62 - 5 * len(number), 50 + n * pitch)
        if line:
            page.line(line, 80, 50 + n * pitch)
    return page


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"first": 17},
        {"first": 100},
        {"pitch": 12},
        {"left": True},
        {"ocr": True},
        {"step": 5},
        {"pitch": 30},
    ],
)
def test_numbers_of_lines(options: dict[str, object]) -> None:
    page = numbered(TEXT, **options)  # type: ignore[arg-type]
    content, numbers = without_line_numbers(page.content)
    step, first = int(str(options.get("step", 1))), int(str(options.get("first", 1)))
    wanted = [str(n) for n in range(first, first + len(TEXT)) if n % step == 0]
    if step > 1:
        assert [w.text for w in numbers] in ([], wanted)
    else:
        assert [w.text for w in numbers] == wanted
        assert not any(s.text.isdecimal() for s in content.spans)
        assert all(b.type == "paragraph" for b in structure(content))


def test_a_number_missed_by_ocr_and_one_of_an_empty_line() -> None:
    page = numbered([*TEXT[:8], "", *TEXT[8:16]], ocr=True)
    page.content.spans = [s for s in page.content.spans if s.text != "4"]
    _, numbers = without_line_numbers(page.content)
    assert [w.text for w in numbers] == [str(n) for n in range(1, 18) if n != 4]


ITEMS = ["Scope of the delivery and its terms", "Price and how it is to be paid by whom", "Notice"] * 4


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(ITEMS, id="a list"),
        pytest.param(["desk", "chair", "lamp", "shelf", "rug", "bed", "door"], id="a table"),
        pytest.param([s.capitalize() for s in TEXT], id="sentences"),
        pytest.param(TEXT[:3], id="few"),
    ],
)
def test_numbers_of_something_else(lines: list[str]) -> None:
    page = numbered(lines)
    assert without_line_numbers(page.content) == (page.content, ())


def test_numbers_that_do_not_count() -> None:
    page = Setter()
    for n, (line, number) in enumerate(zip(TEXT, [3, 9, 4, 88, 12, 7, 5, 30, 2, 41], strict=False)):
        page.line(str(number), 52, 50 + 20 * n)
        page.line(line, 80, 50 + 20 * n)
    assert without_line_numbers(page.content)[1] == ()


def test_items_of_several_lines_stay_a_list() -> None:
    page = Setter()
    y = 50.0
    for n, words in enumerate([30, 8, 50, 20, 9, 44, 12], start=1):
        page.line(f"{n}", 52, y)
        y = page.prose([PROSE[0].capitalize(), *PROSE[1:words]], 80, y, 400) + 4
    assert without_line_numbers(page.content)[1] == ()


@pytest.mark.parametrize("pitch", [12, 20, 22, 24, 28])
def test_numbered_lines_are_running_text(pitch: float) -> None:
    page = Setter(600, 900)
    end = page.prose(PROSE * 4, 80, 50, 350, leading=pitch)
    for n in range(round((end - 50) / pitch)):
        page.line(str(n + 1), 62 - 5 * len(str(n + 1)), 50 + n * pitch)
    content, numbers = without_line_numbers(page.content)
    (block,) = structure(content)
    assert len(numbers) == n + 1 > 15
    assert (block.type, block.text) == ("paragraph", " ".join(PROSE * 4))


def test_lines_far_apart_that_do_not_run_on_stay_apart() -> None:
    page = Setter()
    for n in range(8):
        page.line(f"Label {n} of something with a longer name", 50, 50 + 24 * n)
    assert len(structure(page.content)) == 8
