"""Damaged and hostile documents: every page has a status, in time, and nothing else is harmed.

The long version over real documents is `benchmarks/robustness.py`, whose checks these are.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from random import Random

import PIL.Image
import PIL.ImageDraw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.strangers.survey import Survey, survey
from internvl_llm.media.limits import Limits
from tests.kit.build import page_pdf
from tests.kit.mutations import MUTATORS, kind, mutants
from tests.kit.pdfs import pdf
from tests.kit.samples import png

LIMITS = Limits(max_seconds=4, max_memory=2**30, max_pages=50)
ALL = sorted({mutator for mutators in MUTATORS.values() for mutator in mutators}, key=lambda m: m.__name__)


def image(form: str, **options: object) -> bytes:
    picture = PIL.Image.new("RGB", (300, 80), "white")
    PIL.ImageDraw.Draw(picture).text((9, 9), "Total 12.50", fill="black")
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


DOCUMENTS = {
    "two.pdf": pdf("Hello\nworld", "again"),
    "one.pdf": page_pdf("BT /F 12 Tf 50 500 Td (Some words of text) Tj ET q 90 0 0 90 50 50 cm /Opaque Do Q"),
    "a.png": png("Total 12.50", size=(400, 150)),
    "a.jpg": image("JPEG"),
    "a.tif": image("TIFF", save_all=True, append_images=[PIL.Image.new("1", (60, 60)) for _ in range(2)]),
    "a.gif": image("GIF"),
    "a.bmp": image("BMP"),
    "a.webp": image("WEBP"),
}


def test_the_types() -> None:
    kinds = [kind(data) for data in DOCUMENTS.values()]
    assert kinds == ["pdf", "pdf", "png", "jpeg", "tiff", "gif", "bmp", "webp"]
    assert kind(b"") == "other"


@pytest.mark.parametrize("mutator", ALL, ids=lambda mutator: mutator.__name__)
def test_a_mutator_changes_what_it_is_for_and_gives_the_same_for_the_same_seed(
    mutator: Callable[..., bytes],
) -> None:
    fit = [data for data in DOCUMENTS.values() if mutator in MUTATORS[kind(data)]]
    seeds = range(6)
    results = [mutator(data, Random(seed)) for data in fit for seed in seeds]
    assert results == [mutator(data, Random(seed)) for data in fit for seed in seeds]
    # a lie about a cross-reference stream needs one
    assert mutator.__name__ == "lying_widths" or any(result not in fit for result in results)


@settings(max_examples=12, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(sorted(DOCUMENTS)), st.integers(0, 99))
def test_mutators_take_any_bytes(noise: bytes, name: str, seed: int) -> None:
    sound = DOCUMENTS[name]
    for data in (noise, sound[:16] + noise, sound[: len(sound) // 2] + noise):
        for mutator in MUTATORS[kind(data)]:
            assert isinstance(mutator(data, Random(seed)), bytes)


def test_mutants_are_of_every_type_and_by_every_mutator() -> None:
    made = list(mutants(DOCUMENTS, 300, seed=1))
    assert len(made) == 300
    assert {name for name, _, _ in made} == set(DOCUMENTS)
    assert {by for _, by, _ in made} >= {m.__name__ for m in ALL} - {"lying_widths"}
    assert made[:40] == list(mutants(DOCUMENTS, 40, seed=1))


def test_mutants_are_read_or_fail_one_by_one(tmp_path: Path) -> None:
    files = []
    for number, (name, mutator, data) in enumerate(mutants(DOCUMENTS, 20, seed=4)):
        files.append(tmp_path / f"{number:02}-{mutator}-{name}")
        files[-1].write_bytes(data)
    seen = survey(files, tmp_path, LIMITS, "1-3", jobs=2)
    assert seen.problems(LIMITS, "1-3") == []
    told = seen.summary()
    assert told["pages"]["ok"] > 3 and told["pages"].get("failed", 0) + told["files_not_opened"] > 3
    assert seen.worker_memory and seen.parent_memory


def told(**more: object) -> dict[str, object]:
    return {"file": "a", "number": 1, "total": 1, "status": "ok", "reason": "", "seconds": 0.1} | more


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"pages": []}, "a: pages"),
        ({"pages": [told(total=2)]}, "a: pages"),
        ({"pages": [told(), told()]}, "a: pages"),
        ({"pages": [told(status="")]}, "no status"),
        ({"pages": [told(status="failed")]}, "without a reason"),
        ({"pages": [told(seconds=99.0)]}, "took 99 s"),
        ({"raised": "ValueError: x"}, "the parent ended: ValueError"),
        ({"exit_status": -11}, "exit status -11"),
        ({"hung": True}, "nothing came"),
        ({"worker_memory": {1: 2**31}}, "a worker came to"),
        ({"parent_memory": 2**31}, "the parent came to"),
        ({"left_over": 1}, "1 processes left over"),
    ],
)
def test_broken_promises_are_noticed(change: dict[str, object], problem: str) -> None:
    sound = {"files": ["a"], "pages": [told()], "exit_status": 0}
    assert Survey(**sound).problems(LIMITS, None) == []  # type: ignore[arg-type]
    (found,) = Survey(**sound | change).problems(LIMITS, None)  # type: ignore[arg-type]
    assert problem in found
