"""Where content may come from, and that nothing else is reached."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
from PIL import ImageFile

from internvl_llm.errors import (
    DocumentNotFoundError,
    LimitError,
    MediaError,
    MessageError,
    OptionError,
    SourceError,
)
from internvl_llm.media.limits import Limits, MediaOptions
from internvl_llm.media.load import load_image
from internvl_llm.media.source import check_files, content_of, referenced, undecoded
from internvl_llm.messages import Combined, Image, MediaFile, Message, ToolResult
from internvl_loaders.sources import resolve
from tests.kit.attacks import CONTROL, NAME, lay
from tests.kit.bombs import jpeg_of_scans
from tests.kit.paths import ROOT
from tests.kit.pictures import gradient


def png(width: int = 60, height: int = 40) -> bytes:
    out = io.BytesIO()
    gradient(width, height).save(out, "PNG")
    return out.getvalue()


PNG = png()


@pytest.mark.parametrize(
    "url", ["https://example.org/a.png", "HTTP://a", "data:image/png;base64,AAAA", "DATA:,"]
)
def test_urls(url: str) -> None:
    assert referenced(url, "picture") == url


@pytest.mark.parametrize("name", ["/etc/passwd", "a.png", "../a", "C:\\a.png", "//host/share", Path("/a/b")])
def test_what_may_be_a_file_is_one_only_below_a_folder_that_is_allowed(name: Any, tmp_path: Path) -> None:
    file = referenced(name, "picture")
    assert file == MediaFile(str(name))
    for message in (
        Message.user(Image(file)),
        Message.user(Combined((Image(file),))),
        Message.tool(ToolResult("1", "f", (Image(file),))),
    ):
        with pytest.raises(MessageError, match=r"the url of the picture is .*data: or http\(s\).*media_root"):
            check_files([message], MediaOptions())
        check_files([message], MediaOptions(media_root=(tmp_path,)))
    with pytest.raises(MessageError, match="media_root"):
        content_of(file, "image", MediaOptions())
    with pytest.raises(SourceError, match="outside|no such document|no path|no file"):
        content_of(file, "image", MediaOptions(media_root=(tmp_path,)))


@pytest.mark.parametrize(
    "url",
    [
        *(
            "file:///etc/passwd",
            "file:x",
            "ftp://a/b",
            "http:/x",
            "http:\\\\x",
            "https:x",
            "httpſ://x",
            "blob:x",
        ),
        *("", None, 7, b"http://a", " a.png", "a.png\n", "a\x00b", "a\x1bb", "\x85a", "x" * 5000, ["a"], {}),
    ],
)
def test_what_can_be_neither(url: Any) -> None:
    with pytest.raises(MessageError, match=r"the url of the picture is .*data: or http\(s\)") as refused:
        referenced(url, "picture")
    assert len(str(refused.value)) < 600


@pytest.mark.parametrize("url", ["http:/x", "http:\\\\x", " file:///x", "https:x", "a/b://c"])
def test_what_looks_like_a_url_is_no_path(url: str) -> None:
    with pytest.raises(MediaError, match="is no place"):
        load_image(url)


def test_files_below_the_folders(tmp_path: Path) -> None:
    pictures, others = tmp_path / "pictures", tmp_path / "others"
    for folder in (pictures / "deep", others):
        folder.mkdir(parents=True)
    (pictures / "deep" / "a.png").write_bytes(PNG)
    (others / "b.png").write_bytes(PNG)
    (tmp_path / "c.png").write_bytes(PNG)
    os.symlink("deep/a.png", pictures / "link.png")
    os.symlink("../c.png", pictures / "out.png")
    options = MediaOptions(media_root=(pictures, str(others)))
    for name in ("deep/a.png", "link.png", "b.png", str(others / "b.png"), "deep/../deep/./a.png"):
        assert load_image(MediaFile(name), options).size == gradient().size
    for name in ("../c.png", "out.png", str(tmp_path / "c.png"), "deep/../../c.png"):
        with pytest.raises(SourceError, match="outside the folders"):
            load_image(MediaFile(name), MediaOptions(media_root=pictures))
    with pytest.raises(DocumentNotFoundError, match="no such document"):
        load_image(MediaFile("d.png"), options)
    with pytest.raises(LimitError, match=r"max_bytes = 10"):
        load_image(MediaFile("b.png"), MediaOptions(media_root=(others,), limits=Limits(max_bytes=10)))


@pytest.mark.parametrize("folder", ["/no/such/folder", "", [""], __file__])
def test_folders_that_are_none(folder: Any) -> None:
    with pytest.raises(OptionError, match="media_root"):
        MediaOptions(media_root=folder)


@pytest.mark.skipif(sys.platform == "win32", reason="other names, no pipes")
@pytest.mark.parametrize("root", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_no_block_reaches_a_file_of_this_machine(tmp_path: Path, root: bool) -> None:
    """Every spelling in every form of both frameworks, with an eye on what is opened, in workers too."""
    pytest.importorskip("langchain_core")
    pytest.importorskip("llama_index.core")
    bait, allowed = tmp_path / "bait", tmp_path / "allowed"
    allowed.mkdir()
    lay(bait, PNG)
    (tmp_path / NAME).write_bytes(PNG)
    (allowed / NAME).write_bytes(png(30, 20))
    os.symlink(bait, allowed / "linked")
    watched = [str(bait.resolve()), str(allowed.resolve()), "/etc/passwd", "/dev/zero"]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT / "tests" / "kit" / "watch"), str(ROOT)]),
        "WATCH_LOG": str(tmp_path / "log"),
        "WATCHED": os.pathsep.join(watched),
        "HOME": str(bait),
    }
    ran = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "kit" / "attacks.py"), *([str(allowed)] if root else [])],
        cwd=bait,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    told = json.loads(ran.stdout.splitlines()[-1])
    seen = {line.split(" ", 1)[1] for line in (tmp_path / "log").read_text().splitlines()}
    assert told["blocks"] >= 800
    if root:
        assert told["answered"] == ["answered (30, 20)"]
    else:
        assert seen == {str(bait.resolve() / CONTROL)}
        assert not told["answered"]
        assert "DocumentNotFoundError" not in told["others"]  # no word of what is there


def test_images_that_are_not_decoded_are_decoded_by_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever opened them; they are left as they were."""

    def never(image: ImageFile.ImageFile) -> None:
        raise AssertionError("decoded in this process")

    decoded = PIL.Image.open(io.BytesIO(PNG))
    decoded.load()
    opened = [PIL.Image.open(io.BytesIO(PNG))]
    for form in ("JPEG", "WEBP", "GIF", "TIFF", "BMP"):
        out = io.BytesIO()
        gradient().save(out, form)
        opened.append(PIL.Image.open(out))
    scans = PIL.Image.open(io.BytesIO(jpeg_of_scans(2000)))
    frames = io.BytesIO()
    gradient().save(frames, "TIFF", save_all=True, append_images=[gradient()])
    ppm = io.BytesIO()
    gradient().save(ppm, "PPM")
    monkeypatch.setattr(ImageFile.ImageFile, "load", never)
    for image in opened:
        assert load_image(image).size == gradient().size
        [source] = resolve(image, Limits())
        assert source.error is None and source.data
    assert undecoded(decoded, Limits()) is None
    with pytest.raises(LimitError, match="scans"):
        load_image(scans)
    with pytest.raises(LimitError, match="max_bytes"):
        load_image(opened[0], MediaOptions(limits=Limits(max_bytes=10)))
    for other in (PIL.Image.open(frames), PIL.Image.open(ppm)):
        with pytest.raises(MediaError, match=r"not decoded yet.*load\(\)"):
            load_image(other)
