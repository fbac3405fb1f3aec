from __future__ import annotations

import io

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
import pytest
from hypothesis import given
from hypothesis import strategies as st

from internvl_loaders.structure.page import structure
from internvl_loaders.transcribe.ocr.orientation import find_skew, running_down, straighten
from internvl_loaders.transcribe.ocr.ppocr import _tiles, clockwise
from internvl_loaders.transcribe.ocr.rapidocr import RapidOCRTranscriber
from tests.kit.pages import page

POEM = "床前明月光疑是地上霜举头望明月低头思故乡春眠不觉晓处处闻啼鸟"


def quad(x: float, y: float, width: float, height: float, tilt: float = 0.0) -> np.ndarray:
    box = np.array([[0, 0], [width, 0], [width, height], [0, height]])
    turn = np.radians(tilt)
    matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return (box @ matrix + (x, y)).astype(np.float32)


@given(st.floats(-15, 15), st.integers(3, 20))
def test_skew_is_that_of_most_of_the_text(tilt: float, count: int) -> None:
    lines = [quad(50, 60 * n, 400 + 10 * n, 20, tilt) for n in range(count)]
    stray = [quad(10, 10, 120, 30, tilt + 40)]
    assert find_skew(np.array(lines + stray)) == pytest.approx(tilt, abs=0.05)


def test_no_skew_from_short_lines_or_disagreement() -> None:
    assert find_skew(np.zeros((0, 4, 2))) == 0
    assert find_skew(np.array([quad(0, 0, 30, 20, 8)])) == 0
    assert find_skew(np.array([quad(0, 50 * n, 200, 20, 12 * n - 24) for n in range(5)])) == 0


def test_straightened_lines_are_level_and_inside() -> None:
    quads = np.array([quad(100, 100 + 50 * n, 500, 24, 6) for n in range(4)])
    image = np.full((400, 700, 3), 255, np.uint8)
    turned, moved = straighten(image, quads, 6.0)
    assert np.abs(moved[:, 0, 1] - moved[:, 1, 1]).max() < 0.1
    assert (
        moved.min() >= 0 and moved[..., 0].max() <= turned.shape[1] and moved[..., 1].max() <= turned.shape[0]
    )


@pytest.mark.parametrize("tilt", [-4.0, 4.0])
@pytest.mark.parametrize("rotation", [90, 270])
def test_a_page_turned_and_tilted_is_both(rotation: int, tilt: float) -> None:
    """Whichever way its lines are boxed, it comes back in its own shape."""
    upright = page()
    tilted = upright.rotate(-tilt, expand=True, fillcolor="white", resample=PIL.Image.Resampling.BICUBIC)
    found = RapidOCRTranscriber(1).upright(tilted.rotate(-rotation, expand=True))
    assert (found.rotation, found.skew) == (rotation, pytest.approx(tilt, abs=0.5))
    assert found.image.width > found.image.height


def test_an_upright_character_is_no_text_running_down() -> None:
    quads = np.array([quad(0, 0, 300, 30), quad(0, 40, 16, 30), quad(400, 0, 30, 300)])
    assert running_down(quads).tolist() == [False, False, True]


@given(st.permutations(range(4)))
def test_corners_in_any_order(order: list[int]) -> None:
    box = quad(10, 20, 50, 15, 9)
    assert clockwise(box[order]).tolist() == box.tolist()


@given(st.integers(1, 900).map(lambda n: 32 * n))
def test_tiles_share_a_length_out(length: int) -> None:
    tiles = _tiles(length)
    assert [t[1] for t in tiles] == [0, *(t[2] for t in tiles[:-1])] and tiles[-1][2] == length
    assert all(start <= own <= end <= stop for start, own, end, stop in tiles)
    assert all((stop - start) % 32 == 0 and stop <= length for start, _, _, stop in tiles)


@pytest.mark.parametrize("turn", [0, 180])
def test_vertical_writing_is_not_taken_for_a_turned_page(turn: int) -> None:
    pymupdf = pytest.importorskip("pymupdf")
    font = PIL.ImageFont.truetype(io.BytesIO(pymupdf.Font("cjk").buffer), 40)
    image = PIL.Image.new("RGB", (460, 760), "white")
    draw = PIL.ImageDraw.Draw(image)
    for column in range(3):
        for row in range(12):
            draw.text((360 - 130 * column, 60 + 50 * row), POEM[8 * column + row], fill="black", font=font)
    reading = RapidOCRTranscriber(1).read(image.rotate(turn), 144)
    assert reading.rotation == turn
    assert sorted(s.text for s in reading.content.spans) == sorted(POEM[8 * c : 8 * c + 12] for c in range(3))
    assert not any(s.upright for s in reading.content.spans)


def roster(days: list[str], *, down: bool = False) -> PIL.Image.Image:
    """A grid of short numbers whose column heads are set vertically."""
    image = PIL.Image.new("RGB", (900, 640), "white")
    draw = PIL.ImageDraw.Draw(image)
    font = PIL.ImageFont.load_default(26)
    draw.text((60, 30), "Duty roster", fill="black", font=font)
    xs, ys = [60, 240, *range(340, 341 + 100 * (len(days) - 1), 100)], [90, 290, 340, 390, 440, 490]
    for y in ys:
        draw.line((xs[0], y, xs[-1], y), fill="black", width=2)
    for x in xs:
        draw.line((x, ys[0], x, ys[-1]), fill="black", width=2)
    for x, day in zip(xs[1:], days, strict=False):
        label = PIL.Image.new("RGB", (180, 36), "white")
        PIL.ImageDraw.Draw(label).text((4, 2), day, fill="black", font=font)
        image.paste(label.rotate(-90 if down else 90, expand=True), (x + 30, ys[0] + 10))
    for y, name in zip(ys[1:], ("Ann", "Boris", "Cyril", "Dee"), strict=False):
        draw.text((70, y + 10), name, fill="black", font=font)
        for x in xs[1:-1]:
            draw.text((x + 42, y + 10), str((x + y) // 10 % 9), fill="black", font=font)
    return image


@pytest.mark.parametrize("down", [False, True])
def test_vertical_heads_do_not_turn_the_page(down: bool) -> None:
    days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
    page = RapidOCRTranscriber(1).read(roster(days, down=down), 144)
    assert page.rotation == 0
    (table,) = [b.table for b in structure(page.content) if b.table]
    assert table.grid()[0][1:] == days
    assert [row[0] for row in table.grid()[1:]] == ["Ann", "Boris", "Cyril", "Dee"]
