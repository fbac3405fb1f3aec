from __future__ import annotations

import base64
import io
import os
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import numpy as np
import PIL.Image
import pytest

from internvl_llm.errors import MediaError, MessageError, MissingDependencyError
from internvl_llm.media import video as video_module
from internvl_llm.media.limits import Limits, MediaOptions
from internvl_llm.media.load import load, load_image
from internvl_llm.messages import Combined, Document, Image, Message, Source, ToolResult, Video
from internvl_llm.prompt.chatml import render
from internvl_loaders.errors import LimitError, PageRangeError, UnsupportedDocumentError, UrlError
from tests.kit.pdfs import pdf
from tests.kit.pictures import STEP, gradient, turned, video

EXIF_ORIENTATION = 0x0112


def encoded(image: PIL.Image.Image, form: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def same(one: PIL.Image.Image, other: PIL.Image.Image) -> bool:
    return one.mode == other.mode and one.size == other.size and one.tobytes() == other.tobytes()


class Handler(BaseHTTPRequestHandler):
    body: ClassVar[bytes] = encoded(gradient())

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/image.png" else 404)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_address[1]}"
    httpd.shutdown()
    httpd.server_close()


# Images


@pytest.mark.parametrize("kind", ["path", "string", "bytes", "base64", "percent", "pil"])
def test_wherever_an_image_comes_from(tmp_path: Path, kind: str) -> None:
    data = encoded(gradient())
    (tmp_path / "a.png").write_bytes(data)
    source: Source | PIL.Image.Image = {
        "path": tmp_path / "a.png",
        "string": str(tmp_path / "a.png"),
        "bytes": data,
        "base64": "data:image/png;base64," + base64.b64encode(data).decode(),
        "percent": "DATA:image/png," + quote(data),
        "pil": gradient(),
    }[kind]
    assert same(load_image(source), gradient())


def test_urls(server: str) -> None:
    url = f"{server}/image.png"
    assert same(load_image(url, MediaOptions(allow_hosts=("127.0.0.1",))), gradient())
    with pytest.raises(UrlError, match="not a public address"):
        load_image(url)
    with pytest.raises(UrlError, match="404"):
        load_image(f"{server}/gone", MediaOptions(allow_hosts=("127.0.0.1",)))
    with pytest.raises(LimitError, match="max_bytes"):
        load_image(url, MediaOptions(limits=Limits(max_bytes=100), allow_hosts=("127.0.0.1",)))
    for other in ("file:///etc/passwd", "ftp://example.com/a.png", "s3://a/b"):
        with pytest.raises(MediaError, match="is no place"):
            load_image(other)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("given", ["file", "pil"])
def test_images_are_upright(orientation: int, given: str) -> None:
    exif = PIL.Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    data = encoded(gradient(), exif=exif)
    back = {  # what a camera held so would have to do to the upright picture, undone
        1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2,
    }[orientation]  # fmt: skip
    expected = gradient() if back is None else gradient().transpose(PIL.Image.Transpose(back))
    assert same(load_image(data if given == "file" else PIL.Image.open(io.BytesIO(data))), expected)


def test_transparency_and_other_modes() -> None:
    ink = PIL.Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    ink.paste((0, 0, 0, 255), (5, 5, 10, 10))
    on_white = load_image(encoded(ink))
    assert on_white.mode == "RGB"
    assert on_white.getpixel((0, 0)) == (255, 255, 255) and on_white.getpixel((6, 6)) == (0, 0, 0)
    for mode in ("L", "1", "P", "CMYK", "LA", "I;16"):
        image = gradient().convert("L").convert(mode) if mode != "P" else gradient().convert("P")
        assert load_image(encoded(image, "TIFF" if mode == "CMYK" else "PNG")).mode == "RGB"


def test_limits_of_an_image() -> None:
    data = encoded(gradient())
    for limits, name in (
        (Limits(max_image_pixels=2399), "max_image_pixels"),
        (Limits(max_bytes=50), "max_bytes"),
    ):
        with pytest.raises(LimitError, match=name):
            load_image(data, MediaOptions(limits=limits))
    with pytest.raises(LimitError, match="max_image_pixels"):
        load_image(gradient(), MediaOptions(limits=Limits(max_image_pixels=2399)))
    small = load_image(data, MediaOptions(limits=Limits(max_pixels=600)))
    assert small.size == (30, 20)
    bomb = encoded(PIL.Image.new("1", (20_000, 20_000)))
    with pytest.raises(LimitError, match="declares 400,000,000 pixels, more than max_image_pixels"):
        load_image(bomb)


def test_images_that_are_none(tmp_path: Path) -> None:
    whole = encoded(gradient(600, 400), "JPEG")
    for content, problem in (
        (b"", "0 bytes"),
        (b"no image", "known type"),
        (whole[: len(whole) // 2], "damaged"),
        (encoded(gradient())[:40], "known type"),
        (encoded(gradient())[:60], "damaged"),
        (pdf("a page"), "Document part"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "known type"),
    ):
        with pytest.raises(MediaError, match=problem):
            load_image(content)
        (tmp_path / "x.png").write_bytes(content)
        with pytest.raises(MediaError, match=problem) as caught:
            load_image(tmp_path / "x.png")
        assert "x.png" in str(caught.value)
    with pytest.raises(MediaError, match="Document part"):
        load_image(encoded(gradient(), "TIFF", save_all=True, append_images=[gradient()]))


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("nowhere.png", "No such file"),
        ("a\0b.png", "null"),
        ("A" * 5000, "decode_base64"),
        ("data:image/png;base64,a*b", "not base64"),
        ("data:image/png;base64", "no comma"),
        (42, "given as int"),
    ],
)
def test_sources_that_are_none(source: Any, problem: str) -> None:
    with pytest.raises(MediaError, match=problem) as caught:
        load_image(source)
    assert len(str(caught.value)) < 500


def test_only_files_are_read(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no file"):
        load_image(tmp_path)
    with pytest.raises(MediaError, match=r"no file|0 bytes"):
        load_image("/dev/zero")


# Documents


def test_pages_of_documents() -> None:
    document = pdf("one", "two", "three", size=(200, 100))
    shown = load(Message.user(Document(document), "Sum it up."))
    assert shown.counts == (3,) and [image.kind for image in shown.images] == ["page"] * 3
    assert {image.size for image in shown.images} == {(556, 278)}
    assert len({image.digest for image in shown.images}) == 3
    chosen = load(Message.user(Document(document, pages="2-3")), MediaOptions(dpi=72))
    assert [image.size for image in chosen.images] == [(200, 100)] * 2
    small = load(Message.user(Document(document)), MediaOptions(limits=Limits(max_pixels=5000)))
    assert all(image.size[0] * image.size[1] <= 5000 for image in small.images)
    frames = encoded(gradient(), "TIFF", save_all=True, append_images=[gradient()])
    assert load(Message.user(Document(frames))).counts == (2,)


def test_pages_that_are_not_there_are_said(caplog: pytest.LogCaptureFixture) -> None:
    assert load(Message.user(Document(pdf("a", "b"), pages="2-9,1,12-"))).counts == (2,)
    assert caplog.messages == ["the document: has 2 pages, not 3-9,12-"]


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes there")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for part in (Document(tmp_path / "pipe"), Image(tmp_path / "pipe"), Video(tmp_path / "pipe")):
        with pytest.raises((MediaError, UnsupportedDocumentError), match=r"pipe: this is (no file|a pipe)"):
            load(Message.user(part))


def test_documents_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(PageRangeError, match="2 pages"):
        load(Message.user(Document(pdf("a", "b"), pages="7")))
    with pytest.raises(UnsupportedDocumentError):
        load(Message.user(Document(b"words")))
    with pytest.raises(LimitError, match="max_pages"):
        load(Message.user(Document(pdf("a", "b"))), MediaOptions(limits=Limits(max_pages=1)))
    with pytest.raises(FileNotFoundError):
        load(Message.user(Document(tmp_path / "none.pdf")))


def test_documents_of_many_threads() -> None:
    document, sizes = pdf("one", "two", size=(200, 100)), []

    def read() -> None:
        sizes.extend(image.draw().size for image in load(Message.user(Document(document))).images)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sizes == [(556, 278)] * 16


# Conversations


def test_everything_in_order_of_appearance() -> None:
    pages, one, two = pdf("a", "b", size=(100, 50)), gradient(), gradient(30, 30)
    messages = [
        Message.user("Look:", Image(one, min_tiles=2, max_tiles=6), Document(pages)),
        Message.assistant("Yes."),
        Message.tool(ToolResult("1", "f", (Image(two),))),
        Message.user(Combined((Image(one), Image(two)))),
    ]
    shown = load(messages)
    assert shown.counts == (1, 2, 1, 2)
    assert [image.kind for image in shown.images] == ["image", "page", "page", "image", "image", "image"]
    assert (shown.images[0].min_tiles, shown.images[0].max_tiles) == (2, 6)
    assert shown.images[0].digest == shown.images[4].digest != shown.images[5].digest
    assert render(messages, pictures=shown.counts).pictures == len(shown.images)
    assert load("no images").images == ()


def test_not_too_many() -> None:
    few = MediaOptions(max_images=2)
    assert len(load(Message.user(Image(gradient()), Image(gradient())), few).images) == 2
    for parts in (
        [Image(gradient())] * 3,
        [Image(gradient()), Document(pdf("a", "b"))],
        [Video(video(), frames=3)],
    ):
        with pytest.raises(MediaError, match="max_images = 2"):
            load(Message.user(*parts), few)
    with pytest.raises(MessageError, match="empty"):
        load([])


# Videos


def cards_indices(bound: tuple[float, float] | None, fps: float, max_frame: int, count: int) -> list[int]:
    """The arithmetic that the model cards publish."""
    start, end = bound or (-100000, 100000)
    first, last = max(0, round(start * fps)), min(round(end * fps), max_frame)
    segment = float(last - first) / count
    return [int(first + segment / 2 + np.round(segment * at)) for at in range(count)]


@pytest.mark.parametrize("bound", [None, (0, 3), (1.5, 7.25), (2, 1000)])
@pytest.mark.parametrize("fps", [24.0, 29.97, 60.0])
def test_indices_are_those_of_the_cards(bound: tuple[float, float] | None, fps: float) -> None:
    for frames in (250, 301, 5000):
        for count in (1, 2, 7, 8, 16, 32):
            start, end = bound or (None, None)
            assert video_module.indices(frames, fps, count, start, end) == cards_indices(
                bound, fps, frames - 1, count
            )


def test_indices_of_short_videos() -> None:
    for frames in range(1, 12):
        found = video_module.indices(frames, 8.0, 8, None, None)
        assert found == sorted(set(found)) and 1 <= len(found) <= min(8, frames)
        assert found[0] >= 0 and found[-1] < frames
    assert video_module.indices(10, 8.0, 8, 2.0, None) == []
    assert video_module.indices(0, 8.0, 8, None, None) == []


def numbers(images: list[PIL.Image.Image]) -> list[int]:
    greys = [np.asarray(image)[300:440, 300:440].mean() for image in images]
    return [round(grey / STEP) for grey in greys]


def frames_of(content: Path | bytes, **options: Any) -> list[PIL.Image.Image]:
    shown = load(Message.user(Video(content, **options)))
    assert all((image.kind, image.min_tiles, image.max_tiles) == ("frame", 1, 1) for image in shown.images)
    assert all(image.size == (448, 448) for image in shown.images)
    return [image.draw() for image in shown.images]


@pytest.mark.parametrize(
    ("form", "codec"), [("mp4", "mpeg4"), ("mp4", "libx264"), ("avi", "mpeg4"), ("matroska", "libx264")]
)
def test_frames_of_videos(form: str, codec: str) -> None:
    content = video(form=form, codec=codec)
    for count in (1, 2, 5, 8, 24):
        expected = video_module.indices(24, 8.0, count, None, None)
        assert numbers(frames_of(content, frames=count)) == expected
    assert numbers(frames_of(content)) == video_module.indices(24, 8.0, 8, None, None)
    assert numbers(frames_of(content, frames=4, start=1.0, end=2.0)) == cards_indices((1, 2), 8.0, 23, 4)


def test_a_video_from_a_path_and_one_of_one_frame(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(video(1))
    assert numbers(frames_of(tmp_path / "a.mp4")) == [0]


def test_a_frame_is_the_tile_the_model_sees() -> None:
    from internvl_llm.prompt.tiling import tile

    (frame,) = frames_of(video(), frames=1)
    assert (tile(frame, 1, 1)[0] == np.asarray(frame)).all()


def test_videos_are_upright() -> None:
    def white_quarter(content: bytes) -> list[bool]:
        pixels = np.asarray(frames_of(content, frames=1)[0]).mean(-1)
        return [bool(pixels[y, x] > 220) for y, x in ((60, 60), (60, 390), (390, 60), (390, 390))]

    assert white_quarter(video()) == [True, False, False, False]
    assert white_quarter(turned(video())) == [False, True, False, False]


def test_videos_that_are_none(tmp_path: Path) -> None:
    playlist = (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile://{tmp_path}/secret.ts\n#EXT-X-ENDLIST\n"
    )
    concat = f"ffconcat version 1.0\nfile '{tmp_path}/secret.mp4'\n"
    (tmp_path / "secret.ts").write_bytes(video(form="mpegts", codec="libx264"))
    (tmp_path / "secret.mp4").write_bytes(video())
    for content in (b"no video", playlist.encode(), concat.encode(), video()[:500], encoded(gradient())):
        (tmp_path / "a.mp4").write_bytes(content)
        for source in (content, tmp_path / "a.mp4"):
            with pytest.raises(MediaError, match="damaged or of an unknown type"):
                load(Message.user(Video(source)))
    with pytest.raises(MediaError, match="0 bytes"):
        load(Message.user(Video(b"")))
    with pytest.raises(MediaError, match="No such file"):
        load(Message.user(Video("nowhere.mp4")))
    with pytest.raises(MediaError, match=r"ends at 3\.0 s"):
        load(Message.user(Video(video(), start=3.5)))


def test_limits_of_a_video() -> None:
    for limits, name in (
        (Limits(max_image_pixels=3071), "max_image_pixels"),
        (Limits(max_bytes=50), "max_bytes"),
        (Limits(max_seconds=1e-9), "max_seconds"),
    ):
        with pytest.raises(LimitError, match=name):
            load(Message.user(Video(video())), MediaOptions(limits=limits))
    with pytest.raises(MediaError, match="max_video_seconds = 2"):
        load(Message.user(Video(video())), MediaOptions(max_video_seconds=2))


def test_without_pyav(monkeypatch: pytest.MonkeyPatch) -> None:
    content = video()
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingDependencyError, match=r"internvl-documents\[video\]"):
        load(Message.user(Video(content)))
