"""What records' ids depend on."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, get_args

import pytest

from internvl_llm import EngineSpec
from internvl_llm.media.limits import Limits
from internvl_loaders.document import Page
from internvl_loaders.records.options import LoaderOptions
from internvl_loaders.records.recorder import record_id
from tests.kit.scripted import ScriptedEngine

PAGE = Page(source="a.pdf", document_id="1", number=1, status="ok")

INDIFFERENT = {
    "base_url", "pages", "password", "jobs", "on_error", "words", "images", "allow_hosts", "page_separator",
    "image_dir", "cache_dir", "in_flight", "attachments",
}  # fmt: skip


def identity(**changes: Any) -> str:
    return record_id(LoaderOptions.of(**changes), PAGE, 1)


def other(name: str) -> Any:
    """A value that is not the default."""
    special = {
        "engine": EngineSpec("8B", precision="int8"),
        "model": "2B",
        "base_url": "http://localhost/v1",
        "pages": "1-2",
        "limits": Limits(max_pixels=1000),
        "allow_hosts": ("a",),
        "jobs": 3,
        "prompt": "omnidocbench-1",
        "max_page_tokens": 9000,
        "max_page_seconds": 90.0,
    }
    if name in special:
        return special[name]
    field = LoaderOptions.model_fields[name]
    if isinstance(field.default, bool):
        return not field.default
    if isinstance(field.default, int):
        return field.default + 1
    return next(
        (kind for kind in get_args(field.annotation) if isinstance(kind, str) and kind != field.default), "x"
    )


@pytest.mark.parametrize("name", LoaderOptions.model_fields)
def test_an_option_changes_ids_unless_it_changes_no_text(name: str) -> None:
    engine = {"model": "8B"} if name == "base_url" else {}
    changed = identity(**engine, **{name: other(name)}) != identity(**engine)
    assert changed == (name not in INDIFFERENT)


def test_of_whole_documents_pages_and_separator_count() -> None:
    ids = {identity(mode="document", **more) for more in ({}, {"pages": "1-2"}, {"page_separator": "-"})}
    assert len(ids) == 3


def test_a_new_option_changes_ids_only_where_it_is_used() -> None:
    class Newer(LoaderOptions):
        denoise: bool = False

    assert record_id(Newer(), PAGE, 1) == identity()
    assert record_id(Newer(denoise=True), PAGE, 1) != identity()


def test_bounds_alone_change_no_id() -> None:
    assert identity(limits=Limits(max_seconds=3)) == identity()


def test_one_model_has_one_id_however_it_is_named_and_run() -> None:
    same = (
        {"model": "8B"},
        {"model": "OpenGVLab/InternVL3-8B-hf", "engine": "transformers"},
        {"engine": EngineSpec("InternVL3-8B", device="cpu", attention="eager", max_batch=3)},
        {"engine": {"model": "8B", "kv_bytes": 2**30}},
    )
    assert len({identity(**options) for options in same}) == 1
    apart = ({}, {"model": "8B"}, {"model": "2B"}, {"engine": {"model": "8B", "precision": "int8"}})
    assert len({identity(**options) for options in apart}) == 4


def test_a_spec_and_the_engine_opened_by_it_are_one() -> None:
    engine = ScriptedEngine("")
    engine.spec = EngineSpec("8B")  # type: ignore[attr-defined]
    assert identity(engine=engine) == identity(model="8B")


def folder(path: Path, weights: bytes) -> str:
    path.mkdir(parents=True)
    (path / "config.json").write_text("{}")
    (path / "model.safetensors").write_bytes(weights)
    return str(path)


def test_folders_are_told_by_what_they_hold(tmp_path: Path) -> None:
    """Two fine-tunes in folders of one name; a copy with other times, and a note beside the weights."""
    one, two = (folder(tmp_path / place / "tuned", place.encode()) for place in ("a", "b"))
    assert identity(model=one) != identity(model=two)
    copy = tmp_path / "elsewhere"
    shutil.copytree(one, copy)
    (copy / "README.md").write_text("copied")
    os.utime(copy / "config.json", (1, 1))
    assert identity(model=str(copy)) == identity(model=one)
    (copy / "model.safetensors").write_bytes(b"c")
    assert identity(model=str(copy)) != identity(model=one)


def test_ids_stay_what_they_are() -> None:
    """Across releases: were they to change, every record would be indexed anew."""
    assert identity() == "0abc529d-d6b1-866c-9091-8fc18129ab57"
    assert identity(model="8B", mode="document", dpi=300) == "495bd6af-5428-8c94-a88f-ff4f93f24b6c"
