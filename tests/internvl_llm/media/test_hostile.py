"""Media of messages whose makers mean harm: real files, in real worker processes."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import PIL.Image
import psutil
import pytest

from internvl_llm.errors import InternVLError, LimitError, MediaError, PageError
from internvl_llm.media.limits import Limits, MediaOptions
from internvl_llm.media.load import Shown, load
from internvl_llm.messages import Document, Image, Message, Part, Video
from tests.kit import bombs, faults
from tests.kit.bombs import MB
from tests.kit.build import image_bytes
from tests.kit.faults import ordered
from tests.kit.paths import ROOT
from tests.kit.pdfs import pdf
from tests.kit.pictures import gradient, video

pytestmark = pytest.mark.usefixtures("own_pools")

PNG = image_bytes(gradient(), "PNG")


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Workers do what files order; here they note what they are asked for."""
    monkeypatch.setattr("internvl_llm.media.workers.process.BOOTSTRAP", faults.DRAWING)
    monkeypatch.setenv(faults.READ, str(tmp_path / "requests"))
    (tmp_path / "requests").touch()
    return tmp_path / "requests"


def shown(*parts: Part, **limits: float) -> Shown:
    return load(Message.user(*parts), MediaOptions(limits=Limits(**limits)))  # type: ignore[arg-type]


def part(kind: str, content: bytes | Path) -> Part:
    return {"image": Image, "document": Document, "video": Video}[kind](content)


SOUND = {"image": lambda: PNG, "document": lambda: pdf("one"), "video": video}


HARM = {
    "crash": (PageError, "SIGSEGV"),
    "killed": (PageError, "SIGKILL"),
    "exit": (PageError, "exit status 7"),
    "hang": (LimitError, "max_seconds = 2"),
    "allocate": (LimitError, "max_memory = 314,572,800"),
    "raise": (InternVLError, "scripted"),
}
QUICK = ("document", "draw")


@pytest.mark.parametrize(
    ("kind", "when", "verb"),
    [
        pytest.param(
            kind, when, verb, marks=() if (kind, when) == QUICK or verb == "crash" else pytest.mark.slow
        )
        for kind in ("image", "document", "video")
        for when in ("open", "draw")
        for verb in HARM
    ],
)
def test_what_a_file_does_to_its_process_is_an_error_that_names_it(
    kind: str, when: str, verb: str, requests: Path, tmp_path: Path
) -> None:
    error, says = HARM[verb]
    path = tmp_path / "hostile.bin"
    path.write_bytes(ordered(SOUND[kind](), when, verb))
    with pytest.raises(error, match=says) as caught:
        seconds = 2 if verb == "hang" else 60
        [image] = shown(part(kind, path), max_seconds=seconds, max_memory=300 * MB).images[:1]
        assert when == "draw"
        image.draw()
    assert "hostile.bin" in str(caught.value)
    assert load(Message.user(Image(PNG))).images[0].draw().size == gradient().size


def test_a_progressive_jpeg_of_many_scans_is_refused_at_once() -> None:
    """Of 43 kB; decoding it takes a quarter of a minute."""
    bomb = bombs.jpeg_of_scans(2000)
    load(Message.user(Image(PNG)))  # a worker is there
    started = time.monotonic()
    with pytest.raises(LimitError, match="2,005 scans are of 8,020,000,000 pixels, more than 10 times"):
        shown(Image(bomb))
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("bomb", "says"),
    [
        ("png declares 60,000 x 60,000", "max_image_pixels"),
        ("tiff declares 2^32-1 squared", "max_image_pixels"),
        ("tiff 30,000 tags of one 1 MB", "claim more than the file holds"),
        ("gif canvas 65,535 squared", "max_image_pixels"),
        ("webp canvas 2^24 squared", "max_image_pixels"),
        ("bmp declares 100,000 squared", "max_image_pixels"),
        ("png iCCP 256 MB", "Decompressed data too large"),
    ],
)
def test_bombs_of_the_loaders_are_refused_here_too(bomb: str, says: str) -> None:
    with pytest.raises((LimitError, MediaError), match=says):
        shown(Image(bombs.BOMBS[bomb]()), max_image_pixels=100_000_000)


def test_large_images_are_counted_without_being_decoded(requests: Path) -> None:
    """30 of a few kB, 40 million pixels each."""
    bomb = bombs.png(8000, 5000)
    assert len(bomb) < 50_000
    peak, done, here = 0, threading.Event(), psutil.Process()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.005):
            for process in (here, *here.children()):
                try:
                    peak = max(peak, process.memory_info().rss - (before if process is here else 0))
                except psutil.Error:
                    continue

    before = here.memory_info().rss
    watcher = threading.Thread(target=watch)
    watcher.start()
    images = shown(*[Image(bomb)] * 30).images
    done.set()
    watcher.join()
    assert [image.size for image in images] == [(8000, 5000)] * 30
    assert len({image.digest for image in images}) == 1
    assert requests.read_text().split() == ["open"] * 30
    assert peak < 150 * MB  # one of them is 120 MB of pixels


@pytest.mark.parametrize("kind", ["image", "document", "video"])
def test_drawing_keeps_nothing(kind: str) -> None:
    for image in shown(part(kind, SOUND[kind]())).images:
        drawn = weakref.ref(image.draw())
        assert drawn() is None


def test_all_frames_come_of_one_pass(requests: Path) -> None:
    images = shown(Video(video(), frames=8)).images
    assert len({image.draw().tobytes() for image in images}) == 8
    assert requests.read_text().split() == ["open", "draw"]
    images[3].draw()
    assert requests.read_text().split() == ["open", "draw", "draw"]


def test_too_many_are_refused_before_anything_is_opened(requests: Path) -> None:
    with pytest.raises(MediaError, match="max_images = 128"):
        shown(*[Image(PNG)] * 129)
    with pytest.raises(MediaError, match="max_images = 128"):
        shown(Video(video(), frames=129))
    assert requests.read_text() == ""
    with pytest.raises(MediaError, match="max_images = 128"):
        shown(Document(pdf(*map(str, range(129)))))
    assert requests.read_text().split() == ["open"]


@pytest.mark.parametrize("processors", [1, 2])
def test_one_conversation_does_not_wait_for_another(
    processors: int, requests: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hostile PDF that hangs costs nobody but its own conversation."""
    monkeypatch.setattr("internvl_llm.media.remote.cores", lambda: processors)
    errors: list[InternVLError] = []

    def hang() -> None:
        try:
            shown(Document(ordered(pdf("hostile"), "open", "hang")), max_seconds=30)
        except InternVLError as error:
            errors.append(error)

    hostile = [threading.Thread(target=hang) for _ in range(processors)]
    for thread in hostile:
        thread.start()
    while requests.read_text().count("hang") < processors:
        assert not errors
        time.sleep(0.05)
    [page] = shown(Document(pdf("harmless"))).images
    assert page.draw().size == page.size
    assert not errors
    assert all(thread.is_alive() for thread in hostile)
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            child.kill()
    for thread in hostile:
        thread.join()


def test_two_conversations_pages_are_drawn_at_the_same_time(requests: Path, tmp_path: Path) -> None:
    document = ordered(pdf("a", "b"), "draw", "meet", str(tmp_path / "place"))
    pages = [shown(Document(document)).images[0] for _ in range(2)]
    with ThreadPoolExecutor(2) as threads:
        drawn = list(threads.map(lambda page: page.draw().size, pages))
    assert drawn == [page.size for page in pages]


def test_a_file_that_is_written_anew_is_not_drawn_under_the_old_name(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    [image] = shown(Image(path)).images
    image.draw()
    path.write_bytes(image_bytes(PIL.Image.new("RGB", gradient().size, "red"), "PNG"))
    with pytest.raises(MediaError, match=r"a\.png: the file has changed"):
        image.draw()


PREPARED = """
import sys
from pathlib import Path
from internvl_llm.media.load import load
from internvl_llm.messages import Document, Image, Message, Video
message = Message.user(*[kind(Path(name)) for kind, name in zip((Document, Video, Image), sys.argv[1:])])
shown = load(message)
for image in shown.images:
    assert image.draw().size == image.size
print(shown.counts, sorted({"pymupdf", "pypdfium2", "av", "fitz"} & set(sys.modules)))
"""


def test_the_caller_loads_no_library_that_opens_files(tmp_path: Path) -> None:
    for name, content in (("a.pdf", pdf("a", "b")), ("b.mp4", video()), ("c.png", PNG)):
        (tmp_path / name).write_bytes(content)
    names = [str(tmp_path / name) for name in ("a.pdf", "b.mp4", "c.png")]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, "-c", PREPARED, *names], capture_output=True, text=True, env=env)
    assert (run.stdout, run.stderr) == ("(2, 8, 1) []\n", "")
