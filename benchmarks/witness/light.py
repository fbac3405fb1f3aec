"""Dark and pale pages made by code: whether a page that is brightened or stretched is read better.

    python -m benchmarks.witness.light TRUTH [--files N] [--json FILE]

rapidocr stands in for a model. Every change is undone in three ways: not at all, by a stretch of the greys
from the darkest to the lightest, and by equalising them locally.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image

from benchmarks.witness.upright import cases
from internvl_loaders.evaluate.metrics import text_scores
from internvl_loaders.structure.page import structure
from internvl_loaders.transcribe.ocr.light import lightened
from internvl_loaders.transcribe.ocr.rapidocr import RapidOCRTranscriber


def dark(pixels: Any) -> Any:
    """A photograph by a lamp at the left: a third of the light, less to the right, with noise."""
    light = np.linspace(0.35, 0.12, pixels.shape[1])[None, :, None]
    return pixels * light + np.random.default_rng(1).normal(0, 3, pixels.shape)


def pale(pixels: Any) -> Any:
    """A worn photocopy: a fifth of the contrast, near white."""
    return 200 + pixels * 0.2 + np.random.default_rng(1).normal(0, 2, pixels.shape)


CHANGES = {"as it is": lambda pixels: pixels, "dark": dark, "pale": pale}


def equalised(image: PIL.Image.Image) -> PIL.Image.Image:
    light, a, b = cv2.split(cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2LAB))
    light = cv2.createCLAHE(3.0, (8, 8)).apply(light)
    return PIL.Image.fromarray(cv2.cvtColor(cv2.merge([light, a, b]), cv2.COLOR_LAB2RGB))


WAYS = {"nothing": lambda image: image, "stretched": lightened, "equalised": equalised}


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("truth", type=Path)
    options.add_argument("--files", type=int)
    options.add_argument("--json", type=Path)
    given = options.parse_args()
    reader = RapidOCRTranscriber(1)
    rates: dict[str, dict[str, list[float]]] = {name: {way: [] for way in WAYS} for name in CHANGES}
    for path, text, image in cases(given.truth, given.files):
        pixels = np.asarray(image).astype(np.float64)
        for name, change in CHANGES.items():
            shown = PIL.Image.fromarray(change(pixels).clip(0, 255).astype(np.uint8))
            for way, improve in WAYS.items():
                blocks = structure(reader.read(improve(shown), 200).content)
                score = text_scores(text, "\n".join(block.text for block in blocks))
                rates[name][way].append(score["cer"])
        print(
            path,
            {name: [round(v[-1], 3) for v in one.values()] for name, one in rates.items()},
            file=sys.stderr,
        )
    result = {
        "files": len(rates["dark"]["nothing"]),
        "mean_cer": {
            name: {way: round(statistics.mean(values), 4) for way, values in one.items()}
            for name, one in rates.items()
        },
    }
    print(json.dumps(result, indent=1))
    if given.json is not None:
        given.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
