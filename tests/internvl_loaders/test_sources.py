from __future__ import annotations

import ast
import glob
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from internvl_llm.media.limits import Limits
from internvl_loaders.errors import (
    DocumentNotFoundError,
    LimitError,
    OptionError,
    SourcePermissionError,
    UrlError,
)
from internvl_loaders.folders import Skipped, skipped_files
from internvl_loaders.sources import FsspecFile, Named, Source, is_single, output_name, resolve
from tests.kit.names import UNDECODABLE
from tests.kit.pdfs import pdf

LIMITS = Limits()


def sources(source: object, limits: Limits = LIMITS) -> list[Source]:
    return list(resolve(source, limits))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "b" / "deep").mkdir(parents=True)
    (tmp_path / "a.pdf").write_bytes(pdf("one"))
    (tmp_path / "b" / "c.PNG").write_bytes(b"not really")
    (tmp_path / "b" / "deep" / "nameless").write_bytes(pdf("two"))
    (tmp_path / "notes.txt").write_text("no document")
    return tmp_path


def test_a_path(folder: Path) -> None:
    for path in (folder / "a.pdf", str(folder / "a.pdf")):
        (source,) = sources(path)
        assert (source.name, source.output, source.path) == (str(path), "a.pdf", Path(path))


def test_a_folder_is_searched_in_depth_and_in_order(folder: Path) -> None:
    found = sources(folder)
    assert [s.output for s in found] == ["a.pdf", "b/c.PNG", "b/deep/nameless"]
    assert all(s.error is None for s in found)


def test_a_glob(folder: Path) -> None:
    assert [s.output for s in sources(f"{folder}/**/*")] == ["a.pdf", "c.PNG", "nameless"]


def test_links_that_lead_round_in_circles(folder: Path) -> None:
    """Two of them are 2^40 ways to one file."""
    for name in ("one", "two"):
        (folder / "b" / name).symlink_to(folder)
    assert [s.name for s in sources(f"{folder}/**/*.pdf")] == [f"{folder}/a.pdf"]
    assert [s.name for s in sources(f"{folder}/b/one/**/*.pdf")] == [f"{folder}/b/one/a.pdf"]
    assert [s.output for s in sources(folder)] == ["a.pdf", "b/c.PNG", "b/deep/nameless"]


@pytest.mark.parametrize(
    "pattern", ["**", "**/*", "*/**/*", "b/**/**/*", "**/b/**", "./**/a.pdf", "**/n*", "b**/c*", "b/[d]*/**"]
)
def test_a_glob_finds_what_python_s_own_does(
    folder: Path, monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "x.pdf").write_bytes(pdf("x"))
    monkeypatch.chdir(folder)
    for each in (pattern, f"{folder}/{pattern}"):
        found = [s.name for s in sources(each) if s.error is None]
        own = set(glob.glob(each, recursive=True))
        assert found == sorted(name for name in own if os.path.isfile(name) and not name.endswith("txt"))


def test_a_file_whose_name_looks_like_a_glob(tmp_path: Path) -> None:
    path = tmp_path / "scan [1].pdf"
    path.write_bytes(pdf("one"))
    (source,) = sources(str(path))
    assert source.path == path


@pytest.mark.parametrize("what", ["gone.pdf", "*.tiff", "empty"])
def test_nothing_there(tmp_path: Path, what: str) -> None:
    (tmp_path / "empty").mkdir()
    (source,) = sources(str(tmp_path / what))
    assert isinstance(source.error, DocumentNotFoundError)
    assert isinstance(source.error, FileNotFoundError)
    assert what in str(source.error)


@pytest.fixture
def mixed(folder: Path) -> Path:
    """Eight files that are no documents, litter that is not worth a word, and a loop."""
    for name in ("a.PSD", "b/b.psd", "b/c.psd", "x.docx", "x.zip", "mail.eml", "noext", "odd.\x1b[31m"):
        (folder / name).write_bytes(b"PK\x03\x04 no document")
    (folder / "__MACOSX").mkdir()
    for name in (
        "__MACOSX/a.pdf",
        "._a.pdf",
        ".DS_Store",
        "~$x.docx",
        "Thumbs.db",
        "b/desktop.ini",
        "b/._c.PNG",
    ):
        (folder / name).write_bytes(pdf("litter"))
    (folder / "b" / "loop").symlink_to(folder)
    return folder


def test_what_a_folder_holds_besides_documents_is_counted(
    mixed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    skipped = Skipped()
    found = list(resolve(mixed, LIMITS, (), skipped))
    assert [s.output for s in found] == ["a.pdf", "b/c.PNG", "b/deep/nameless"]
    assert skipped == {
        ".psd": 3, ".docx": 1, ".zip": 1, ".eml": 1, ".txt": 1, "without a type": 2, "linked folder": 1
    }  # fmt: skip
    assert skipped_files(skipped).startswith("10 files skipped: ")
    assert skipped_files(skipped).endswith("3 .psd")
    assert not caplog.records
    assert len(sources([str(mixed), f"{mixed}/*.docx"])) == 4
    (record,) = caplog.records
    assert record.levelname == "WARNING" and record.getMessage().startswith("11 files skipped: ")


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("*.docx", "no documents match this pattern, only 1 .docx"),
        ("*.odt", "no documents match this pattern"),
        ("none", "no documents in this folder, only 1 .docx, 2 .psd"),
    ],
)
def test_nothing_but_other_files_is_a_failure_that_says_so(mixed: Path, what: str, told: str) -> None:
    (mixed / "none").mkdir()
    for name in ("1.psd", "2.psd", "3.docx", "._4.pdf"):
        (mixed / "none" / name).touch()
    (source,) = sources(str(mixed / what))
    assert isinstance(source.error, DocumentNotFoundError)
    assert f"{told}. Check the path" in str(source.error)


def test_litter_that_is_named_is_read(mixed: Path) -> None:
    for name in ("._a.pdf", "__MACOSX", "__MACOSX/*"):
        (source,) = sources(str(mixed / name))
        assert source.error is None and source.path is not None


def test_a_thousand_kinds_are_not_listed() -> None:
    from internvl_loaders.folders import _count

    skipped = Skipped()
    for number in range(1000):
        _count(skipped, f".k{number}")
    assert len(skipped) == 101
    assert len(skipped_files(skipped)) < 200


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="another user is needed")
def test_what_cannot_be_looked_at_costs_itself_only(tmp_path: Path) -> None:
    """A folder that another user may not list, and one whose entries he may not look at."""
    for name, mode in (("a-closed", 0o000), ("b-listed", 0o744), ("c-open", 0o755)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.pdf").write_bytes(pdf("x"))
        (tmp_path / name).chmod(mode)
    above = tmp_path
    while above != above.parent and above.stat().st_mode & 0o005 != 0o005:
        above.chmod(0o755)
        above = above.parent
    code = (
        "import os, sys\nfrom internvl_loaders.sources import resolve, Limits\nos.setuid(65534)\n"
        "print([(s.output, type(s.error).__name__) for s in resolve(sys.argv[1], Limits())])"
    )
    run = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert ast.literal_eval(run.stdout) == [
        ("a-closed", "SourcePermissionError"),
        ("x.pdf", "SourcePermissionError"),
        ("c-open/x.pdf", "NoneType"),
    ], run.stderr


def test_a_name_that_is_no_utf8_can_be_carried_and_opened(tmp_path: Path) -> None:
    for name in UNDECODABLE:
        (tmp_path / f"{name}.pdf").write_bytes(pdf("x"))
    found = sources(tmp_path)
    assert len({source.name.encode() for source in found}) == len(UNDECODABLE)
    assert all(source.path is not None and source.path.read_bytes() for source in found)


def test_no_permission(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_dir", refuse)
    (source,) = sources(tmp_path / "x.pdf")
    assert isinstance(source.error, SourcePermissionError)


def test_bytes_have_a_stable_name() -> None:
    data = pdf("one")
    (first,), (again,) = sources(data), sources(bytearray(data))
    assert first == again
    assert first.name.startswith("sha256:")
    assert "/" not in first.output
    assert ":" not in first.output


def test_streams_and_named(tmp_path: Path) -> None:
    data = pdf("one")
    path = tmp_path / "a.pdf"
    path.write_bytes(data)
    with path.open("rb") as stream:
        (source,) = sources(stream)
        assert (source.name, source.data) == (str(path), data)
    (source,) = sources(Named(io.BytesIO(data), "letters/x.pdf"))
    assert (source.name, source.output, source.data) == ("letters/x.pdf", "x.pdf", data)


def test_a_stream_beyond_the_limit_is_not_read_whole() -> None:
    stream = io.BytesIO(b"x" * 5000)
    (source,) = sources(stream, Limits(max_bytes=1000))
    assert isinstance(source.error, LimitError)
    assert "max_bytes = 1,000" in str(source.error)
    assert "--max-bytes" in str(source.error)
    assert stream.tell() <= 1001


def test_a_text_stream_is_wrong_use() -> None:
    with pytest.raises(OptionError, match="rb"):
        sources(io.StringIO("text"))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "F", "I;16"])
def test_pil_images(mode: str) -> None:
    image = Image.new(mode, (7, 5))
    (source,) = sources(image)
    assert source.data is not None
    assert Image.open(io.BytesIO(source.data)).size == (7, 5)


def test_a_pil_image_keeps_orientation_and_resolution() -> None:
    image = Image.new("RGB", (7, 5))
    image.info["dpi"] = (300, 300)
    image.getexif()[0x0112] = 6
    (source,) = sources(image)
    back = Image.open(io.BytesIO(source.data or b""))
    assert back.getexif()[0x0112] == 6
    assert round(back.info["dpi"][0]) == 300


def test_lists_are_flattened_and_keep_going(folder: Path) -> None:
    found = sources([folder / "gone.pdf", [folder / "a.pdf", pdf("x")]])
    assert [s.error is None for s in found] == [False, True, True]


def test_fsspec_folders_and_globs() -> None:
    fsspec = pytest.importorskip("fsspec")
    fs = fsspec.filesystem("memory")
    fs.pipe({f"/kinds/{name}": b"x" for name in ("a.pdf", "b.docx", "b/c.PSD", "._a.pdf", "__MACOSX/a.pdf")})
    for root, names, kinds in (
        ("/kinds", ["/kinds/a.pdf"], {".docx": 1, ".psd": 1}),
        ("/kinds/*", ["/kinds/a.pdf"], {".docx": 1}),
        ("/kinds/._a.pdf", ["/kinds/._a.pdf"], {}),
    ):
        skipped = Skipped()
        found = list(resolve(FsspecFile(fs, root), LIMITS, (), skipped))
        assert ([s.name for s in found], dict(skipped)) == (names, kinds)
    (source,) = sources(FsspecFile(fs, "/kinds/*.docx"))
    assert isinstance(source.error, DocumentNotFoundError)
    assert "no documents here, only 1 .docx" in str(source.error)


def test_fsspec() -> None:
    fsspec = pytest.importorskip("fsspec")
    fs = fsspec.filesystem("memory")
    fs.pipe("/listed/a.pdf", pdf("one"))
    fs.pipe("/listed/sub/b.png", b"\x89PNG")
    fs.pipe("/listed/notes.txt", b"no")
    assert [s.name for s in sources(FsspecFile(fs, "/listed"))] == ["/listed/a.pdf", "/listed/sub/b.png"]
    (source,) = sources(fsspec.open("memory:///listed/a.pdf"))
    assert source.data == pdf("one")
    (source,) = sources(FsspecFile(fs, "/listed/gone.pdf"))
    assert isinstance(source.error, DocumentNotFoundError)


@pytest.mark.parametrize("url", ["ftp://example.com/a.pdf", "file:///etc/passwd", "s3://bucket/a.pdf"])
def test_other_schemes_are_refused(url: str) -> None:
    (source,) = sources(url)
    assert isinstance(source.error, UrlError)
    assert "http" in str(source.error)


@pytest.mark.parametrize("what", [3, None, 1.5])
def test_no_source_at_all(what: object) -> None:
    with pytest.raises(OptionError, match="not a source"):
        sources(what)


def test_is_single(folder: Path) -> None:
    assert is_single(folder / "a.pdf")
    assert is_single("https://example.com/*.pdf")
    assert is_single(b"x")
    assert is_single(io.BytesIO())
    assert not is_single(folder)
    assert not is_single(f"{folder}/*.pdf")
    assert not is_single([b"x"])


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("https://h/a/b.pdf?x=1#y", "b.pdf"),
        ("https://h/", "h"),
        ("..", "document"),
        ("c:\\x\\y.pdf", "y.pdf"),
        ('a<b>:"c".pdf', "a-b-c-.pdf"),
        ("\x1b[31m.pdf", "-[31m.pdf"),
    ],
)
def test_output_name(name: str, safe: str) -> None:
    assert output_name(name) == safe
