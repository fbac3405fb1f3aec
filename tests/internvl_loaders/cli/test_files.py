from __future__ import annotations

import contextlib
import itertools
import os
import random
import threading
import unicodedata
from pathlib import Path

import pytest

from internvl_loaders.cli.files import Names, replacing, replacing_or_into
from internvl_loaders.errors import InternVLError
from tests.kit.names import HOSTILE


def test_replacing_is_all_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.md"
    with replacing(path) as file:
        file.write("first")
        assert not path.exists()
    assert path.read_text() == "first"
    with pytest.raises(RuntimeError), replacing(path) as file:
        file.write("second")
        raise RuntimeError
    assert path.read_text() == "first"
    assert os.listdir(path.parent) == ["a.md"]


def test_replacing_honours_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with replacing(tmp_path / "a") as file:
            file.write("x")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_lone_surrogates_do_not_stop_writing(tmp_path: Path) -> None:
    with replacing(tmp_path / "a") as file:
        file.write("a\udcffb")
    assert (tmp_path / "a").read_text() == "a\\udcffb"


@pytest.mark.parametrize(
    "hostile",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "a/../../b",
        "..",
        ".",
        "",
        "C:\\x\\..\\y.pdf",
        "a\x00b",
        "x/./y",
        "con|nul",
        "\ud800.pdf",
    ],
)
def test_names_never_leave_the_folder(tmp_path: Path, hostile: str) -> None:
    path = Names(tmp_path).claim(hostile)
    assert tmp_path in path.parents
    assert path.resolve().is_relative_to(tmp_path.resolve())
    with replacing(path.with_name(path.name + ".md")) as file:
        file.write("x")


def test_names_never_clash(tmp_path: Path) -> None:
    names = Names(tmp_path)
    claimed = [names.claim(n).name for n in ("a.pdf", "A.PDF", "a.pdf", "b.pdf")]
    assert claimed == ["a.pdf", "A~2.PDF", "a~3.pdf", "b.pdf"]


def test_long_names_stay_writable(tmp_path: Path) -> None:
    names = Names(tmp_path)
    first, second = names.claim("ü" * 400 + ".pdf"), names.claim("ü" * 400 + ".pdf")
    assert first != second
    for path in (first, second):
        with replacing(path.with_name(path.name + ".json")) as file:
            file.write("{}")


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_every_name_becomes_one_that_can_be_written(tmp_path: Path, name: str) -> None:
    for form in ("md", "json"):
        path = Names(tmp_path, ("md", "json")).claim(f"{name}/{name}.pdf")
        with replacing(path.with_name(f"{path.name}.{form}"), tmp_path) as file:
            file.write("x")
    assert len([one for one in tmp_path.rglob("*") if one.is_file()]) == 2


def test_no_two_of_them_are_one_anywhere(tmp_path: Path) -> None:
    names = Names(tmp_path)
    claimed = [names.claim(f"{folder}{name}") for folder in ("", "CON/", "x/") for name in HOSTILE]
    keys = {unicodedata.normalize("NFC", str(path).casefold()) for path in claimed}
    assert len(keys) == len(claimed) == 3 * len(HOSTILE)
    nfc, nfd = (names.claim(unicodedata.normalize(form, "né.pdf")) for form in ("NFC", "NFD"))
    assert unicodedata.normalize("NFC", nfd.name) == "né~2.pdf" != nfc.name


CLASHES = [
    ["a", "a.md/z.pdf"],
    ["A.MD/z.pdf", "a"],
    ["a", "a.json/z.pdf", "a.md/z.pdf", "a.md/y.pdf", "a.md~2/z.pdf"],
    ["a", "a.1.csv/z.pdf", "a.12.csv/z.pdf", "a.1.csv", "a.csv/z.pdf"],
    ["b.2.csv/z", "b", "b.2.csv/y"],
    ["x/a", "x/a.md/a", "x/a.md/a.md/a", "x", "x.md/a"],
    ["a.md", "a.md.md/z", "a", "a.md/z"],
]


@pytest.mark.parametrize("relatives", CLASHES, ids=lambda relatives: "+".join(relatives))
def test_a_file_and_a_folder_of_one_name_are_both_written(tmp_path: Path, relatives: list[str]) -> None:
    forms = ("md", "json", "csv")
    for count, order in enumerate(itertools.islice(itertools.permutations(relatives), 8)):
        root = tmp_path / str(count)
        names = Names(root, forms)
        for relative in order:
            path = names.claim(relative)
            for suffix in ("md", "json", "1.csv", "2.csv"):
                with replacing(path.with_name(f"{path.name}.{suffix}"), root) as file:
                    file.write(relative)
        written = [one.read_text() for one in root.rglob("*") if one.is_file()]
        assert sorted(written) == sorted([*order] * 4)


def test_documents_of_a_folder_stay_in_one_folder(tmp_path: Path) -> None:
    names = Names(tmp_path, ("md",))
    claimed = [names.claim(one) for one in ("a", "a.md/y", "a.md/z", "a.md/deep/z")]
    assert [str(path.relative_to(tmp_path)) for path in claimed] == [
        "a",
        "a.md~2/y",
        "a.md~2/z",
        "a.md~2/deep/z",
    ]


def test_many_of_one_name_take_little_time(tmp_path: Path) -> None:
    names = Names(tmp_path)
    assert len({names.claim("a.pdf") for _ in range(20_000)}) == 20_000


def test_no_link_within_the_folder_is_followed(tmp_path: Path) -> None:
    outside, out = tmp_path / "outside", tmp_path / "out"
    outside.mkdir()
    (out / "real").mkdir(parents=True)
    (outside / "precious").write_text("precious")
    (out / "sub").symlink_to(outside)
    (out / "real" / "sub").symlink_to("../../outside")
    (out / "dangling").symlink_to(outside / "not-yet")
    (out / "file").write_text("a file")
    for below in ("sub", "real/sub", "sub/deeper", "dangling"):
        refused = pytest.raises(InternVLError, match="is a link, and would lead out")
        with refused, replacing(out / below / "a.md", out) as file:
            file.write("x")
    with pytest.raises(NotADirectoryError), replacing(out / "file" / "a.md", out) as file:
        file.write("x")
    for link in ("a.md", "b.md"):
        (out / link).symlink_to(outside / ("precious" if link == "a.md" else "not-yet"))
        with replacing(out / link, out) as file:
            file.write("x")
        assert (out / link).read_text() == "x" and not (out / link).is_symlink()
    (out / "c.md").hardlink_to(outside / "precious")
    with replacing(out / "c.md", out) as file:
        file.write("x")
    assert [one.name for one in outside.iterdir()] == ["precious"]
    assert (outside / "precious").read_text() == "precious"
    assert not list(out.rglob("*.part"))


def test_a_folder_may_be_a_link_where_the_user_names_it(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "real")
    with replacing(tmp_path / "out" / "sub" / "a.md", tmp_path / "out") as file:
        file.write("x")
    assert (tmp_path / "real" / "sub" / "a.md").read_text() == "x"


def test_a_folder_that_turns_into_a_link_meanwhile_leads_nowhere(tmp_path: Path) -> None:
    outside, out = tmp_path / "outside", tmp_path / "out"
    outside.mkdir()
    out.mkdir()
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            for replace in (lambda: (out / "sub").symlink_to(outside), lambda: (out / "sub").mkdir()):
                with contextlib.suppress(FileNotFoundError):
                    (out / "sub").rename(tmp_path / f"old-{random.random()}")
                with contextlib.suppress(FileExistsError):
                    replace()

    thread = threading.Thread(target=swap)
    thread.start()
    written = refused = 0
    try:
        while written < 100 or refused < 100:
            try:
                with replacing(out / "sub" / "a.md", out) as file:
                    file.write("x")
                written += 1
            except (InternVLError, OSError):
                refused += 1
    finally:
        done.set()
        thread.join()
    assert not list(outside.iterdir())


def test_a_report_goes_into_devices_and_pipes_and_takes_the_place_of_files(tmp_path: Path) -> None:
    with replacing_or_into(Path("/dev/null")) as file:
        file.write("x")
    assert not Path("/dev/null").is_file()
    os.mkfifo(tmp_path / "pipe")
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_text()))
    reader.start()
    with replacing_or_into(tmp_path / "pipe") as file:
        file.write("report")
    reader.join()
    assert read == ["report"]
    (tmp_path / "elsewhere").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with replacing_or_into(tmp_path / "link") as file:
        file.write("report")
    assert [(tmp_path / name).read_text() for name in ("link", "elsewhere")] == ["report", "precious"]
