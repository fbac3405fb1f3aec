"""`parse` over real documents, from every kind of source."""

from __future__ import annotations

import io
import threading
import time
from contextlib import aclosing, closing
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pypdfium2
import pytest
from PIL import Image, ImageDraw, ImageFont

from internvl_loaders import Document, FsspecFile, Named, ParseOptions, aparse, parse
from internvl_loaders.errors import (
    DocumentNotFoundError,
    EmptyDocumentError,
    InternVLError,
    OptionError,
    PageError,
    UnsupportedDocumentError,
)
from tests.kit.paths import EXAMPLE
from tests.kit.pdfs import pdf

LETTER = "Dear reader,\nthis is a letter of two lines."


def scan(text: str = "Total due 1,234.56", turn: int = 0) -> Image.Image:
    image = Image.new("RGB", (900, 260), "white")
    ImageDraw.Draw(image).text((60, 90), text, fill="black", font=ImageFont.load_default(56))
    return image.rotate(-turn, expand=True)


def png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def texts(source: Any, **options: Any) -> list[str]:
    return [page.text for page in parse(source, **options)]


def test_a_born_digital_page_is_read_from_its_text_layer() -> None:
    (page,) = parse(pdf(LETTER))
    assert (page.status, page.method, page.number, page.total_pages, page.label) == (
        "ok",
        "text-layer",
        1,
        1,
        "1",
    )
    assert page.text.split() == LETTER.split()
    assert (page.width, page.height) == (595, 842)
    assert len(page.document_id) == 16
    assert page.timings["total"] > 0
    box = page.blocks[0].box
    assert box is not None
    assert 0.1 < box.x0 < 0.14
    assert 0.05 < box.y0 < 0.1


def test_a_scan_is_read_by_ocr() -> None:
    (page,) = parse(png(scan()), words=True)
    assert (page.status, page.method) == ("ok", "rapidocr")
    assert page.text == "Total due 1,234.56"
    assert page.confidence is not None
    assert page.confidence > 0.9
    words = [word for block in page.blocks for word in block.words]
    assert [word.text for word in words] == ["Total", "due", "1,234.56"]
    assert words[0].box.x1 < words[2].box.x0


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_turned_scan_reads_as_an_upright_one(turn: int) -> None:
    (page,) = parse(png(scan("Total due 1,234.56 on 4 May", turn)))
    assert page.text == "Total due 1,234.56 on 4 May"
    assert page.rotation == turn
    assert page.width > page.height


def with_picture(image: Image.Image, x: float, y: float, width: float) -> bytes:
    """The letter, with a picture `width` points wide, its lower left corner at x, y."""
    document = pypdfium2.PdfDocument(pdf(LETTER))
    jpeg = io.BytesIO()
    image.save(jpeg, "JPEG")
    picture = pypdfium2.PdfImage.new(document)
    picture.load_jpeg(jpeg)
    picture.set_matrix(pypdfium2.PdfMatrix().scale(width, width * image.height / image.width).translate(x, y))
    page = document[0]
    page.insert_obj(picture)
    page.gen_content()
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def test_text_in_a_picture_is_the_figures() -> None:
    (page,) = parse(with_picture(scan("Bank account 4711"), 72, 300, 300))
    assert page.method == "text-layer"
    assert "1 picture" in page.reason
    (figure,) = [block for block in page.blocks if block.type == "figure"]
    assert figure.text == "Bank account 4711"
    (plain,) = parse(with_picture(scan("Bank account 4711"), 72, 300, 300), transcriber="text-layer")
    assert "4711" not in plain.text


@pytest.mark.slow
def test_a_background_is_not_read_twice() -> None:
    (page,) = parse(with_picture(Image.new("RGB", (400, 300), "lightyellow"), 60, 700, 400))
    assert page.text.split() == LETTER.split()


def test_a_blank_page_is_empty() -> None:
    pages = list(parse([pdf("", LETTER), png(Image.new("RGB", (400, 300), "white"))]))
    assert [p.status for p in pages] == ["empty", "ok", "empty"]
    assert pages[0].text == ""


def test_the_text_layer_may_be_all_that_is_wanted() -> None:
    (page,) = parse(png(scan()), transcriber="text-layer")
    assert page.status == "failed"
    assert "rapidocr" in page.reason
    (page,) = parse(pdf(LETTER), transcriber="rapidocr")
    assert page.method == "rapidocr"
    assert page.text.split() == LETTER.split()


def test_rotate_is_honoured() -> None:
    (page,) = parse(pdf(LETTER, rotate=90))
    assert page.text.split() == LETTER.split()


def test_images_on_request() -> None:
    (plain,) = parse(pdf(LETTER))
    (page,) = parse(pdf(LETTER), images="pages", dpi=72)
    assert plain.image is None
    assert page.image is not None
    assert Image.open(io.BytesIO(page.image.data)).size == (page.image.width, page.image.height) == (595, 842)


def test_every_kind_of_source(tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    data = pdf(LETTER)
    path = tmp_path / "a.pdf"
    path.write_bytes(data)
    fs = fsspec.filesystem("memory")
    fs.pipe("/in/a.pdf", data)
    blob = SimpleNamespace(
        data=data, path=None, source="blob.pdf", mimetype="application/pdf", as_bytes=lambda: data
    )
    in_memory: list[Any] = [data, io.BytesIO(data), Named(data, "n"), blob]
    on_disk: list[Any] = [path, str(path), tmp_path, f"{tmp_path}/*.pdf"]
    elsewhere: list[Any] = [FsspecFile(fs, "/in"), fsspec.open("memory:///in/a.pdf")]
    sources = in_memory + on_disk + elsewhere
    for source in sources:
        (page,) = parse(source)
        assert page.text.split() == LETTER.split()
    assert len(list(parse(sources))) == len(sources)
    assert [p.source for p in parse([path, blob, Named(data, "n")])] == [str(path), "blob.pdf", "n"]


def test_a_pil_image_and_its_orientation() -> None:
    assert texts(scan()) == ["Total due 1,234.56"]
    image = scan().transpose(Image.Transpose.ROTATE_90)
    image.getexif()[0x0112] = 6
    (page,) = parse(image)
    assert (page.text, page.rotation) == ("Total due 1,234.56", 0)


def test_a_url(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf(LETTER))

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}/a.pdf"
        (page,) = parse(url, allow_hosts=("127.0.0.1",))
        assert (page.source, page.text.split()) == (url, LETTER.split())
        with pytest.raises(InternVLError, match="not a public address"):
            list(parse(url))
    finally:
        server.shutdown()
        server.server_close()


def test_every_frame_of_a_tiff() -> None:
    out = io.BytesIO()
    frames = [scan(f"Frame number {n}") for n in (1, 2, 3)]
    frames[0].save(out, "TIFF", save_all=True, append_images=frames[1:])
    assert texts(out.getvalue()) == ["Frame number 1", "Frame number 2", "Frame number 3"]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", EmptyDocumentError),
        (b"<!DOCTYPE html><html>", UnsupportedDocumentError),
        (b"?", UnsupportedDocumentError),
    ],
)
def test_bad_input_raises_its_kind(data: bytes, kind: type[InternVLError], tmp_path: Path) -> None:
    path = tmp_path / "bad.pdf"
    path.write_bytes(data)
    with pytest.raises(kind, match=r"bad\.pdf: .+"):
        list(parse(path))
    pages = list(parse([path, pdf(LETTER)]))
    assert [(p.number, p.status) for p in pages] == [(0, "failed"), (1, "ok")]


def test_wrong_use_raises_before_any_work() -> None:
    with pytest.raises(OptionError):
        parse("x.pdf", transcriber="nobody")
    with pytest.raises(OptionError, match="--model"):
        parse("x.pdf", transcriber="internvl")
    with pytest.raises(DocumentNotFoundError, match=r"gone\.pdf: no such file"):
        list(parse("gone.pdf"))


def test_a_truncated_pdf_gives_what_is_left() -> None:
    pytest.importorskip("pymupdf", reason="pdfium alone does not open a PDF without its end")
    whole = pdf(*[f"Page number {n} of the report." for n in range(1, 11)])
    pages = list(parse(whole[: len(whole) * 2 // 3], on_error="placeholder"))
    assert any(p.status == "fallback" and "cut off" in p.reason and p.text for p in pages)


def test_raise_names_the_page() -> None:
    with pytest.raises(PageError, match=r"s, page 1: .*text layer"):
        list(parse(Named(png(scan()), "s"), transcriber="text-layer", on_error="raise"))


def test_the_same_again() -> None:
    def run() -> str:
        document = Document.of(list(parse(EXAMPLE)))
        return document.model_copy(
            update={"pages": tuple(p.model_copy(update={"timings": {}}) for p in document.pages)}
        ).to_json()

    assert run() == run()


@pytest.mark.parametrize("pages", [120, pytest.param(500, marks=pytest.mark.slow)])
def test_a_long_document_streams(pages: int) -> None:
    """The first page comes long before the last, and memory does not grow with the pages."""
    page = "\n".join(f"Line {n} of a page with a fair amount of text on it." for n in range(40))
    long = pdf(*[page] * pages)
    started = time.perf_counter()
    memory = []
    first = None
    for number, _ in enumerate(parse(long, jobs=3), 1):
        first = first or time.perf_counter() - started
        if number % (pages // 4) == 0:
            memory.append(sum(c.memory_info().rss for c in psutil.Process().children(recursive=True)))
    whole = time.perf_counter() - started
    assert number == pages
    assert first is not None
    assert first < 0.5 * whole
    assert memory[-1] < 1.2 * memory[0]


def test_closing_early_is_quick() -> None:
    with closing(parse(pdf(*[LETTER] * 300), transcriber="rapidocr")) as pages:
        assert len(list(islice(pages, 1))) == 1
        started = time.perf_counter()
    assert time.perf_counter() - started < 2


async def test_aparse_does_not_block() -> None:
    blockbuster = pytest.importorskip("blockbuster")
    with blockbuster.blockbuster_ctx("internvl_loaders"):
        found = [page.text.split() async for page in aparse(pdf(LETTER, LETTER))]
        async with aclosing(aparse(EXAMPLE, ParseOptions(pages="1"))) as pages:
            assert [page.number async for page in pages] == [1]
    assert found == [LETTER.split()] * 2
