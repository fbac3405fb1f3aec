"""Images as a server gets them: from them it cuts the tiles that the engine in process would."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import PIL.Image
import pytest

from internvl_llm.engines.prompting import TiledImage
from internvl_llm.engines.server.images import Outgoing, Sight, measured, png
from internvl_llm.media.limits import MediaOptions
from internvl_llm.media.load import load
from internvl_llm.messages import Document, Image, Message
from internvl_llm.prompt.tiling import tile, tile_count
from internvl_llm.request import Request
from tests.kit.pdfs import pdf
from tests.kit.pictures import noise, text_page
from tests.kit.servers.fake import FakeServer, shown

A4 = (620, 877)
SHAPES = [A4, (638, 825), (900, 300), (300, 900), (500, 500), (64, 48), (10, 900), (1500, 700)]
REQUESTS: list[dict[str, Any]] = [
    {}, {"page": True}, {"max_tiles": 24, "page": True}, {"max_tiles": 1}, {"max_tiles": 6}, {"min_tiles": 7},
    {"min_tiles": 4, "max_tiles": 4}, {"max_tiles": 2},
]  # fmt: skip


def sent(image: PIL.Image.Image, request: Request, sight: Sight) -> PIL.Image.Image:
    [loaded] = load(request.messages).images
    part = {"image_url": {"url": Outgoing.of(loaded, request).url(sight)}}
    return shown(part).convert("RGB")


@pytest.mark.parametrize("options", REQUESTS)
@pytest.mark.parametrize("most", [12, 24, 6, 40])
def test_the_tiles_are_as_many_as_ours(options: dict[str, Any], most: int) -> None:
    """As far as its own bounds go."""
    for shape in SHAPES:
        request = Request(Message.user(Image(PIL.Image.new("RGB", shape))), **options)
        [loaded] = load(request.messages).images
        outgoing, high = Outgoing.of(loaded, request), min(request.max_tiles, most)
        size, tiled = outgoing.shape(Sight(most))
        count = tile_count(*(tiled or size), 1, most)
        low = min(request.min_tiles, high)
        assert count == tile_count(*shape, low, high, page=request.page)
        assert outgoing.tokens(Sight(most, 4)) == 4 * count


@pytest.mark.parametrize("options", REQUESTS)
def test_the_tiles_are_ours_to_the_bit(options: dict[str, Any]) -> None:
    """The thumbnail too where the image goes as it is; else it is made of the tiles."""
    image = noise((310, 438))
    request = Request(Message.user(Image(image)), **options)
    [loaded] = load(request.messages).images
    ours = tile(image, request.min_tiles, min(request.max_tiles, 12), page=request.page)
    cut = tile(sent(image, request, Sight(12)), 1, 12)
    bare = len(ours) - (len(ours) > 1)
    assert len(cut) == len(ours) and np.array_equal(cut[:bare], ours[:bare])
    if Outgoing.of(loaded, request).shape(Sight(12))[1] is None:
        assert np.array_equal(cut, ours)


@pytest.mark.parametrize("options", REQUESTS)
def test_bounds_are_those_of_the_engine_in_process(options: dict[str, Any]) -> None:
    for bounds in ((None, None), (2, 3), (None, 1), (9, None)):
        request = Request(Message.user(Image(noise(A4), *bounds)), **options)
        [loaded] = load(request.messages).images
        outgoing = Outgoing.of(loaded, request)
        tiled = TiledImage(loaded, request)
        assert outgoing.bounds == tiled._bounds
        assert outgoing.tokens(Sight(128)) == 256 * tiled.count


def test_pages_are_cut_as_pages() -> None:
    request = Request(Message.user(Document(pdf("Total 42"))), media=MediaOptions(dpi=75))
    [loaded] = load(request.messages, request.media).images
    assert Outgoing.of(loaded, request).tokens(Sight(12)) == 13 * 256
    width, height = loaded.size
    assert tile_count(width, height) == 7


def test_a_grid_of_its_own() -> None:
    """The pixels as they are; but one tile can be made of any image."""
    image = noise(A4)
    assert sent(image, Request(Message.user(Image(image)), page=True), Sight(None)).size == A4
    assert sent(image, Request(Message.user(Image(image)), max_tiles=1), Sight(None)).size == (448, 448)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_nothing_is_lost(mode: str) -> None:
    image = noise((70, 50), mode).convert("RGB")
    data = png(image)
    back = PIL.Image.open(io.BytesIO(data))
    assert (back.format, back.mode) == ("PNG", mode)
    assert np.array_equal(np.asarray(back.convert("RGB")), np.asarray(image))


@pytest.mark.parametrize("most", [1, 2, 6, 12, 24, 40])
@pytest.mark.parametrize("per_tile", [256, 64, 4])
def test_how_a_server_cuts_is_measured(most: int, per_tile: int) -> None:
    from internvl_llm.engines.server.images import PROBES

    counts = [7 + per_tile * tile_count(*size, 1, most) for size in PROBES]
    assert measured(*counts) == (Sight(1) if most == 1 else Sight(most, per_tile))


@pytest.mark.parametrize(
    "counts", [(263, 263, 3335), (3335, 1031, 3335), (263, 262, 999), (0, 1, 2), (1, 5, 8)]
)
def test_what_is_no_grid_of_ours(counts: tuple[int, int, int]) -> None:
    assert measured(*counts).max_tiles is None


@pytest.mark.parametrize("most", [12, 24])
def test_a_server_is_measured_once(opened: Callable[..., Any], most: int) -> None:
    page = Request(Message.user(Image(text_page(A4)), "Read"), page=True, max_tiles=24)
    with FakeServer(max_tiles=most) as server:
        engine = opened(server)
        engine.generate([Request("Hi")])
        assert [asked.path for asked in server.asked].count("/tokenize") == 0
        [first], [second] = engine.generate([page]), engine.generate([page])
        assert [asked.path for asked in server.asked].count("/tokenize") == 3
        assert first.usage == second.usage
        assert first.usage.image_tokens == 256 * tile_count(*A4, 1, most, page=True)
        assert len(server.chats()) == 3


def test_urls_of_users_are_never_sent(opened: Callable[..., Any]) -> None:
    file = io.BytesIO()
    noise((20, 20)).save(file, "BMP")
    url = f"data:image/bmp;base64,{base64.b64encode(file.getvalue()).decode()}"
    with FakeServer() as server:
        opened(server).generate([Request(Message.user(Image(url), "?"))])
        [part, _] = server.chats()[-1]["messages"][-1]["content"]
    assert part["image_url"]["url"].startswith("data:image/png;base64,")
