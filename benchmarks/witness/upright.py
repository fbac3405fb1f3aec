"""Pages turned and tilted by code: whether a model would see them the right way up, and what is read then.

    python -m benchmarks.witness.upright TRUTH [--files N] [--read N] [--json FILE]

Every image of TRUTH with a text (or N of them, spread evenly) is turned by 90, 180 and 270 degrees and tilted
by 3 degrees either way; `RapidOCRTranscriber.upright` brings it back, as before a model is asked. Of N of
them (`--read`) rapidocr then reads what the model would be shown, and its text is compared with the truth.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import PIL.Image

from internvl_llm.media.pixels import to_rgb
from internvl_loaders.evaluate.metrics import text_scores
from internvl_loaders.evaluate.truth import load_manifest, load_truth
from internvl_loaders.structure.page import structure
from internvl_loaders.transcribe.ocr.rapidocr import RapidOCRTranscriber

IMAGES = {".jpg", ".png", ".tif", ".webp"}
VARIANTS: tuple[tuple[str, int, float], ...] = (
    *(("upright", 0, 0.0), ("90", 90, 0.0), ("180", 180, 0.0), ("270", 270, 0.0)),
    *(("+3", 0, 3.0), ("-3", 0, -3.0)),
)
_LEVEL = 0.7
"""Degrees by which a tilt may be found wrong."""


def spread(items: list[Any], count: int | None) -> list[Any]:
    if count is None or count >= len(items):
        return items
    return [items[len(items) * n // count] for n in range(count)]


def changed(image: PIL.Image.Image, turn: int, tilt: float) -> PIL.Image.Image:
    """Turned clockwise; what a tilt brings in is of the paper's colour."""
    if tilt:
        paper = image.resize((1, 1), PIL.Image.Resampling.BOX).getpixel((0, 0))
        image = image.rotate(-tilt, PIL.Image.Resampling.BICUBIC, expand=True, fillcolor=paper)
    return image.rotate(-turn, expand=True) if turn else image


def cases(truth: Path, files: int | None) -> Iterator[tuple[str, str, PIL.Image.Image]]:
    entries = [
        entry
        for entry in load_manifest(truth)
        if Path(entry.path).suffix in IMAGES and load_truth(truth, entry).text
    ]
    for entry in spread(entries, files):
        with PIL.Image.open(truth / entry.path) as image:
            yield entry.path, load_truth(truth, entry).text or "", to_rgb(image).copy()


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("truth", type=Path)
    options.add_argument("--files", type=int)
    options.add_argument("--read", type=int, default=10**6)
    options.add_argument("--json", type=Path)
    given = options.parse_args()
    reader = RapidOCRTranscriber(1)
    found = list(cases(given.truth, given.files))
    read = {path for path, _, _ in spread(found, given.read)}
    result: dict[str, Any] = {"files": 0, "pages_shown": 0, "wrong": [], "read": 0}
    rates: dict[str, list[float]] = {name: [] for name, _, _ in VARIANTS}
    for path, text, image in found:
        plain = None
        for name, turn, tilt in VARIANTS:
            page = reader.upright(changed(image, turn, tilt))
            plain = plain or page
            found, wanted = page.rotation + page.skew, plain.rotation + plain.skew + turn + tilt
            if abs((found - wanted + 180) % 360 - 180) > _LEVEL:
                result["wrong"].append((path, name, page.rotation, round(page.skew, 2)))
            if path in read:
                blocks = structure(reader.read(page.image, 200).content)
                rates[name].append(text_scores(text, "\n".join(block.text for block in blocks))["cer"])
        result["files"] += 1
        result["pages_shown"] += len(VARIANTS)
        result["read"] = len(rates["upright"])
        result["upright_and_level"] = round(1 - len(result["wrong"]) / result["pages_shown"], 4)
        result["mean_cer"] = {name: round(statistics.mean(one), 4) for name, one in rates.items() if one}
        print(path, result, file=sys.stderr, flush=True)
        if given.json is not None:  # each time: a run may take hours
            given.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
