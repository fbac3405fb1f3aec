"""A cached page is given to those alone whom the same engine would read it for, in the same way."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from internvl_llm import EngineSpec
from internvl_llm.engines import open as engines
from internvl_loaders import ParseOptions, parse
from internvl_loaders.options import ENGINE, SAME_PAGES
from internvl_loaders.pipeline.cache import PageCache, code_digest
from tests.internvl_loaders.transcribe.model.test_transcriber import scan
from tests.kit.scripted import ScriptedEngine, shown


class Loaded(ScriptedEngine):
    """Says which weights it was opened with, and how."""

    def __init__(self, spec: EngineSpec) -> None:
        folder = Path(spec.model)
        weights = (folder / "model.safetensors").read_bytes()[-4:].decode() if folder.is_dir() else "fetched"
        super().__init__(f"{weights} at {spec.precision}")
        self.spec = spec
        self.fingerprint = engines.fingerprint(spec) or "of what was fetched"


@pytest.fixture(autouse=True)
def opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Loaded]:
    """The engines that were opened; they load nothing, and the hub's cache is empty."""
    made: list[Loaded] = []

    def make(spec: EngineSpec) -> Loaded:
        made.append(Loaded(spec))
        return made[-1]

    monkeypatch.setattr(engines, "_made", make)
    monkeypatch.setattr(engines, "_open", {})
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"), raising=False)
    return made


def checkpoint(folder: Path, weights: str) -> str:
    """A folder that looks like a checkpoint, with four bytes of weights."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"architectures": ["InternVLForConditionalGeneration"]}
    (folder / "config.json").write_text(json.dumps(config))
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    data = len(header).to_bytes(8, "little") + header + weights.encode()
    (folder / "model.safetensors").write_bytes(data)
    return str(folder)


def read(cache: Path, **options: Any) -> str:
    (page,) = parse(scan(400), transcriber="internvl", cache_dir=cache, **options)
    assert page.method == "internvl"
    return page.text


def reopened() -> None:
    """As in another process: no engine is open."""
    engines._open.clear()


def test_the_same_spec_is_read_once(tmp_path: Path, opened: list[Loaded]) -> None:
    model = checkpoint(tmp_path / "tuned", "aaaa")
    for form in ({"model": model}, {"engine": {"model": model}}, {"engine": EngineSpec(model, max_batch=3)}):
        assert read(tmp_path, **form) == "aaaa at bf16"
        reopened()
    assert [len(engine.requests) for engine in opened] == [1]
    assert read(tmp_path, engine=Loaded(EngineSpec(model))) == "aaaa at bf16"
    assert PageCache(tmp_path).info().pages == 1


def test_precisions_are_apart(tmp_path: Path) -> None:
    model = checkpoint(tmp_path / "tuned", "aaaa")
    for precision in ("bf16", "int8"):
        assert read(tmp_path, engine={"model": model, "precision": precision}) == f"aaaa at {precision}"


def test_fine_tunes_in_folders_of_one_name_are_apart(tmp_path: Path) -> None:
    for weights in ("aaaa", "bbbb"):
        model = checkpoint(tmp_path / weights / "tuned", weights)
        assert read(tmp_path, model=model) == f"{weights} at bf16"
        assert read(tmp_path, engine=Loaded(EngineSpec(model))) == f"{weights} at bf16"


def test_open_engines_of_one_class_and_name_are_apart(tmp_path: Path) -> None:
    for text in ("one", "two"):
        assert read(tmp_path, engine=ScriptedEngine(text)) == text


def test_weights_changed_in_place_are_others(tmp_path: Path) -> None:
    model = checkpoint(tmp_path / "tuned", "aaaa")
    before = Path(model, "model.safetensors").stat()
    assert read(tmp_path, model=model) == "aaaa at bf16"
    checkpoint(tmp_path / "tuned", "bbbb")
    os.utime(Path(model, "model.safetensors"), ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert read(tmp_path, model=model) == "aaaa at bf16"  # by the engine that is open, as it was loaded
    reopened()
    assert read(tmp_path, model=model) == "bbbb at bf16"


def test_what_is_fetched_first_is_looked_up_once_it_is_there(tmp_path: Path, opened: list[Loaded]) -> None:
    assert engines.fingerprint(EngineSpec("1B")) is None
    assert [read(tmp_path, model="1B") for _ in range(2)] == ["fetched at bf16"] * 2
    assert [len(engine.requests) for engine in opened] == [1]
    reopened()  # and the weights are still not here: nothing tells whether they are the same
    assert read(tmp_path, model="1B") == "fetched at bf16"
    assert [len(engine.requests) for engine in opened] == [1, 1]


def test_what_stood_in_for_an_engine_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: list[Loaded]
) -> None:
    """An engine nobody named that cannot be opened today may be opened tomorrow."""
    from internvl_llm.errors import EngineError
    from internvl_loaders.transcribe.model import choice

    model = checkpoint(tmp_path / "hub" / "models--OpenGVLab--InternVL3-1B-hf" / "snapshots" / "a", "aaaa")
    monkeypatch.setattr(choice, "_gpu_there", lambda: True)
    monkeypatch.setattr(choice, "_gpu_memory", lambda: None)

    def refuse(spec: EngineSpec) -> Any:
        raise EngineError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(engines, "_made", refuse)
        (page,) = parse(scan(400), cache_dir=tmp_path)
        assert (page.status, page.method) == ("fallback", "rapidocr")
    (page,) = parse(scan(400), cache_dir=tmp_path)
    assert page.text == "aaaa at bf16"
    assert opened[-1].spec == EngineSpec(model)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"jobs": 1}, True),
        ({"in_flight": 1}, True),
        ({"on_error": "skip"}, True),
        ({"max_tokens": 99}, False),
        ({"max_tiles": 3}, False),
        ({"dpi": 100}, False),
        ({"words": True}, False),
    ],
)
def test_options_are_apart_if_they_change_pages(tmp_path: Path, change: dict[str, Any], same: bool) -> None:
    engine = ScriptedEngine("text")
    read(tmp_path, engine=engine)
    read(tmp_path, engine=engine, **change)
    assert len(engine.requests) == (1 if same else 2)


def test_every_option_keys_until_it_is_said_to_change_no_page() -> None:
    class Newer(ParseOptions):
        denoise: bool = False

    settings = Newer().page_settings()
    assert settings["denoise"] is False
    told = {name for name, what in SAME_PAGES.items() if what is True}
    assert told | ENGINE | set(settings) == set(Newer.model_fields)
    assert not (told | ENGINE) & set(settings)
    assert set(settings["limits"]) == {"max_pixels", "max_image_pixels"}
    json.dumps(settings)


def test_the_code_of_both_packages_keys(tmp_path: Path) -> None:
    import internvl_llm
    import internvl_loaders

    roots = [tmp_path / "internvl_llm", tmp_path / "internvl_loaders"]
    for root, package in zip(roots, (internvl_llm, internvl_loaders), strict=True):
        shutil.copytree(package.__path__[0], root, ignore=shutil.ignore_patterns("__pycache__"))
    digests = [code_digest(), code_digest(*roots)]
    assert len(set(digests)) == 1  # whatever the times, wherever it lies

    def now() -> str:
        return code_digest.__wrapped__(*roots)

    file = roots[0] / "prompt" / "tiling.py"
    text = file.read_text()
    file.write_text(text.replace("448", "449"))  # of the same size
    digests.append(now())
    file.write_text(text)
    assert now() == digests[0]
    file.rename(file.with_name("moved.py"))
    digests.append(now())
    with (roots[1] / "structure" / "order.py").open("a") as code:
        code.write("\n")
    digests.append(now())
    assert len(set(digests)) == 4


def test_pages_are_told_apart_by_their_document(tmp_path: Path) -> None:
    engine = ScriptedEngine(lambda request: f"page of {shown(request).width}")
    texts = [
        page.text
        for page in parse([scan(400), scan(410)], transcriber="internvl", engine=engine, cache_dir=tmp_path)
    ]
    assert texts == ["page of 400", "page of 410"]
