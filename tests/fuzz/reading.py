"""Targets over what reading does: structure, and the page cache."""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

from hypothesis import strategies as st

from internvl_loaders.content import Content, Rect, Ruling, Span
from internvl_loaders.document import Page
from internvl_loaders.pipeline.cache import PageCache
from internvl_loaders.readers.turn import upright
from internvl_loaders.structure import structure
from internvl_loaders.structure.sane import sane
from internvl_loaders.transcribe.text_layer import judge, visible
from tests.fuzz.target import target

LONGEST = 20.0
"""Processor seconds one input may take."""

ODD = st.sampled_from(
    [float("nan"), float("inf"), -float("inf"), 0.0, -0.0, 1e308, -1e308, 1e-308, 1e9, -1.0]
)
SANE = st.floats(-50, 650, width=32)
COORDINATES = SANE | SANE | SANE | ODD | st.floats()
WORDS = st.text("abcXYZ019.,:-()•*$ßé漢", min_size=1, max_size=9) | st.sampled_from(
    [
        "1.",
        "•",
        "Table",
        "Figure",
        "17",
        "שלום",
        "hy-",
        " ",
        "\n",
        "\0",
        "\ud800",
        "(ii)",
        "[3]",
        "12.50",
        "€",
    ]
)


@st.composite
def spans(draw: st.DrawFn, coordinates: st.SearchStrategy[float]) -> Span:
    x0, y0, x1, y1 = (draw(coordinates) for _ in range(4))
    return Span(
        draw(WORDS),
        *(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)),
        size=draw(st.sampled_from([0.0, 6.0, 10.0, 24.0]) | coordinates),
        line=draw(st.integers(-1, 5)),
        bold=draw(st.booleans()),
        mono=draw(st.booleans()),
        superscript=draw(st.booleans()),
        upright=draw(st.integers(0, 5)) > 0,
        hidden=draw(st.booleans()),
        confidence=draw(st.none() | st.floats(0, 1)),
    )


@st.composite
def contents(draw: st.DrawFn, coordinates: st.SearchStrategy[float]) -> Content:
    """Spans, rulings and figures anywhere, some of them many times."""
    found = draw(st.lists(spans(coordinates), max_size=25))
    if found and draw(st.integers(0, 3)) == 0:
        found = [replace(span) for _ in range(draw(st.sampled_from([2, 5, 40]))) for span in found]
    rulings = draw(
        st.lists(st.builds(lambda x, y, w: Ruling(x, y, x + w, y), *[coordinates] * 3), max_size=9)
    )
    rulings += draw(
        st.lists(st.builds(lambda x, y, h: Ruling(x, y, x, y + h), *[coordinates] * 3), max_size=9)
    )
    figures = draw(st.lists(st.builds(Rect, *[coordinates] * 4), max_size=3))
    width, height = (
        draw(st.sampled_from([600.0, 1.0, 1e6]) | coordinates),
        draw(st.sampled_from([600.0, 842.0])),
    )
    return Content(width, height, found, rulings, figures, drawings=len(rulings))


def check_structure(content: Content, *neighbours: Content) -> None:
    """Of pages as `sane` gives them, or turned upright after that."""
    start = time.process_time()
    blocks = structure(content, words=True, neighbours=neighbours)
    assert time.process_time() - start < LONGEST
    words = Counter(word.text for block in blocks for word in block.words)
    assert words == Counter(documents_text(s.text) for s in content.spans if s.text.strip())
    page = Page(source="", number=1, status="ok", blocks=tuple(blocks))
    assert Page.model_validate_json(page.model_dump_json()) == page
    page.to_markdown(), page.to_html(), page.to_text()


def documents_text(text: str) -> str:
    """As the model holds it: what UTF-8 cannot carry is U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@target(contents(SANE), st.booleans())
def any_page_has_structure(content: Content, neighbour: bool) -> None:
    page = sane(content)
    check_structure(page, *[page] * neighbour)


@target(contents(COORDINATES), contents(COORDINATES), share=0.7)
def a_page_of_impossible_numbers_has_structure(content: Content, other: Content) -> None:
    check_structure(sane(content), sane(other))


@target(contents(COORDINATES))
def any_text_layer_is_judged(content: Content) -> None:
    mended = sane(content)
    assert sane(mended) is mended
    verdict = judge(mended)
    assert verdict.sound or verdict.reason
    turned, degrees = upright(visible(mended))
    assert degrees in {0, 90, 180, 270}
    check_structure(turned, mended)


@target(
    st.integers(0, 2**32), st.sampled_from([200, 1500]), st.sampled_from([50.0, 600.0, 5000.0]), share=0.1
)
def crowded_pages_take_seconds(seed: int, count: int, side: float) -> None:
    random = Random(seed)
    grid = random.choice([None, 5, 20])

    def place() -> float:
        return random.uniform(0, side) if grid is None else side / grid * random.randrange(grid)

    found = []
    for n in range(count):
        x, y, size = place(), place(), random.choice([4, 9, 30])
        found.append(
            Span(random.choice("abc1239.:-") * random.randint(1, 9), x, y, x + 4 * size, y + size, size, n)
        )
    rulings = [
        Ruling(x, y, x + side / 9, y)
        for x, y in ((place(), place()) for _ in range(random.choice([0, 40, 400])))
    ]
    rulings += [Ruling(x, y, x, y + side / 9) for x, y in ((place(), place()) for _ in range(len(rulings)))]
    check_structure(Content(side, side, found, rulings, [], len(rulings)))


STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "put", "get", "get", "again", "clear", "info", "damage", "gone"]),
              st.sampled_from("abcdefgh"), st.binary(max_size=400)),
    max_size=40,
)  # fmt: skip


@target(STEPS, st.integers(200, 4000), st.randoms(use_true_random=False))
def the_cache_gives_what_was_put_or_nothing(
    steps: list[tuple[str, str, bytes]], size: int, random: Random
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "cache"
        cache = PageCache(folder, size)
        put: dict[str, set[bytes]] = {}
        for step, key, data in steps:
            match step:
                case "put":
                    cache.put(key, data)
                    put.setdefault(key, set()).add(data)
                case "get":
                    assert cache.get(key) in {None, *put.get(key, ())}
                case "again":
                    cache.close()
                    cache = PageCache(folder, size)
                case "clear":
                    assert cache.clear() >= 0
                    put.clear()
                case "info":
                    assert cache.info().pages >= 0
                case "damage":
                    damage(folder, random)
                case _:
                    for file in list(folder.glob("*")) if folder.exists() else []:
                        if random.random() < 0.5:
                            file.unlink()
        cache.close()


def damage(folder: Path, random: Random) -> None:
    """Of any kind but a shorter `-shm`: it is mapped, and SQLite does not survive that (SIGBUS)."""
    files = sorted(folder.glob("*")) if folder.exists() else []
    if not files:
        return
    file = random.choice(files)
    size = os.path.getsize(file)
    with file.open("r+b") as stream:
        if random.random() < 0.3 and not file.name.endswith("-shm"):
            stream.truncate(random.randint(0, size))
        for _ in range(random.choice([1, 5, 50])):
            stream.seek(random.randint(0, size))
            stream.write(random.randbytes(random.choice([1, 16, 200])))
