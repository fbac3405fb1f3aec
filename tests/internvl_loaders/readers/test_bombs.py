"""Hostile files through real workers: each ends soon, in bounded memory, with a status that says why."""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import Any

import pytest

from tests.kit import bombs
from tests.kit.bombs import BOMBS, MB, Outcome, outcome
from tests.kit.pdfs import pdf

NEEDS_PYMUPDF = pytest.mark.skipif(
    find_spec("pymupdf") is None, reason="pdfium alone has no words for it; time and memory bound it there"
)


def known(name: str) -> None:
    if name.startswith("pdf") and find_spec("pymupdf") is None:
        pytest.skip("pdfium alone has no words for it; time and memory bound it there")


def read(document: bytes, *, max_seconds: float = 30, **limits: Any) -> Outcome:
    return outcome(document, limits={"max_seconds": max_seconds, "max_pages": 1000, **limits})


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("png declares 60,000 x 60,000", "3,600,000,000 pixels, more than max_image_pixels = 100,000,000"),
        ("png declares 2^31-1 squared", "max_image_pixels"),
        ("png zTXt 256 MB", "Decompressed data too large"),
        ("png zTXt 0.9 MB x 200", "Too much memory used in text chunks"),
        ("png iCCP 256 MB", "Decompressed data too large"),
        ("tiff declares 2^32-1 squared", "max_image_pixels"),
        ("tiff declares 14,000 squared", "max_image_pixels"),
        ("tiff 2^31 strips", "header is damaged"),
        ("tiff 200,000 frames", "more frames than max_pages"),
        ("tiff 30,000 tags of one 1 MB", "claim more than the file holds"),
        ("jpeg 2,000 scans", "2,005 scans are of 8,020,000,000 pixels, more than 10 times max_image_pixels"),
        ("gif canvas 65,535 squared", "max_image_pixels"),
        ("gif canvas 14,000 squared", "max_image_pixels"),
        ("webp canvas 2^24 squared", "max_image_pixels"),
        ("webp canvas 65,000 squared", "max_image_pixels"),
        ("webp canvas 14,000 squared", "max_image_pixels"),
        ("bmp declares 100,000 squared", "max_image_pixels"),
        ("bmp declares 14,000 squared", "max_image_pixels"),
        ("pdf content 1 GiB of spaces", "content is, decompressed, larger than max_bytes.*--max-bytes"),
        ("pdf content 1 GiB thrice deflated", "max_bytes"),
        ("pdf content 1 GiB of text", "max_bytes"),
        ("pdf content 1 GiB string", "max_bytes"),
        ("pdf tree its own child", "cycle in page tree"),
        ("pdf kids a million times one", "1,000,000 pages, more than max_pages = 1,000"),
        ("pdf encrypted garbage", "encrypted"),
    ],
)
def test_what_is_refused(name: str, why: str) -> None:
    known(name)
    found = read(BOMBS[name](), max_image_pixels=100_000_000, max_bytes=64 * MB)
    assert [page.status for page in found.pages] == ["failed"]
    assert re.search(why, found.reason)
    assert found.peak < 400 * MB


@pytest.mark.parametrize(
    ("name", "statuses", "why"),
    [
        ("pdf xref stream 1 GiB", {"ok"}, ""),
        ("pdf xref declares 2^31-1", {"ok"}, ""),
        ("pdf xref loop", {"ok"}, ""),
        ("pdf image declares 60,000 squared", {"empty"}, ""),
        ("pdf jbig2 60,000", {"empty"}, "pictures"),
        ("pdf jpx 60,000", {"empty"}, "pictures"),
        ("pdf inline image 20,000", {"fallback"}, "Overly large image"),
        ("pdf media box 1e6", {"ok"}, ""),
        ("pdf media box 1e30", {"ok"}, ""),
        ("pdf media box 1e6 x 0.001", {"empty"}, "nothing is on the page"),
        ("pdf media box zero", {"ok"}, ""),
        ("pdf media box nan", {"ok"}, ""),
        ("pdf tree 10,000 deep", {"empty"}, "nothing is on the page"),
        ("pdf pattern in itself", {"fallback"}, "exception stack overflow"),
        ("pdf type 3 font in itself", {"empty"}, "nothing is on the page"),
        ("pdf 100,000 q", {"fallback"}, "nested graphics states"),
        ("pdf 2,000,000 q", {"fallback"}, "nested graphics states"),
        ("pdf content arrays 1,000,000 deep", {"fallback"}, "pdfium had to read the page"),
        ("pdf content dicts 1,000,000 deep", {"empty"}, "nothing is on the page"),
        ("pdf dicts 1,000,000 deep", {"fallback"}, "pdfium had to read the page"),
        ("pdf count 2,000,000,000", {"fallback"}, "pdfium had to read the page"),
        ("pdf count 2^40", {"fallback"}, "pdfium had to read the page"),
    ],
)
def test_what_is_read_harmlessly(name: str, statuses: set[str], why: str) -> None:
    known(name)
    found = read(BOMBS[name]())
    assert len(found.pages) == 1
    assert {page.status for page in found.pages} == statuses
    assert why in found.reason
    assert found.peak < 1200 * MB


@pytest.mark.parametrize("name", ["pdf billion laughs", "pdf pattern of tiny tiles"])
def test_what_ends_with_its_time(name: str) -> None:
    known(name)
    found = read(BOMBS[name](), max_seconds=1.5)
    assert [page.status for page in found.pages] == ["failed"]
    assert "max_seconds = 1.5" in found.reason
    assert found.seconds < 10
    assert found.peak < 1000 * MB


@NEEDS_PYMUPDF
def test_an_object_stream_that_swells() -> None:
    found = read(bombs.object_stream(64 * MB))
    assert [page.status for page in found.pages] == ["ok"]
    assert found.peak < 1000 * MB


@NEEDS_PYMUPDF
def test_pages_that_do_not_exist() -> None:
    found = read(BOMBS["pdf count 98"]())
    assert [page.number for page in found.pages] == list(range(1, 99))
    assert found.pages[0].status == "fallback"
    assert {page.status for page in found.pages[1:]} == {"failed"}
    assert all("no reader can read the page" in page.reason for page in found.pages[1:])
    cyclic = read(BOMBS["pdf tree cyclic"]())
    assert len(cyclic.pages) <= 2
    assert all(page.status in {"fallback", "failed", "empty", "ok"} for page in cyclic.pages)
    assert len(read(BOMBS["tiff loop"]()).pages) == 3


def test_neighbours_of_bombs_are_unharmed() -> None:
    names = ["pdf count 2^40", "png iTXt 256 MB", "pdf arrays 1,000,000 deep", "pdf content 1 GiB string"]
    mixed = [part for name in names for part in (BOMBS[name](), pdf(f"beside {name}"))]
    found = outcome(mixed, limits={"max_seconds": 30})
    assert len(found.pages) == 8
    for name, page in zip(names, found.pages[1::2], strict=True):
        assert (page.status, page.blocks[0].text) == ("ok", f"beside {name}")


@NEEDS_PYMUPDF
def test_content_just_within_the_limit_is_read() -> None:
    content = b"BT /F 12 Tf 50 500 Td (Hello) Tj ET "
    document = bombs.flate_content(content, 3 * len(content))
    assert len(document) < 3000
    within = outcome(document, limits={"max_bytes": 3000}, transcriber="text-layer")
    assert (within.pages[0].status, within.pages[0].blocks[0].text) == ("ok", "Hello")
    larger = bombs.flate_content(content, 3001)
    beyond = outcome(larger, limits={"max_bytes": 3000}, transcriber="text-layer")
    assert "larger than max_bytes = 3,000" in beyond.reason
