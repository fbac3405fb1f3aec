"""Images that phones and archives write, and what decodes them: HEIF through pillow-heif, the rest Pillow."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Literal

from internvl_llm.errors import UnsupportedDocumentError

KINDS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "HEIF (HEIC)", "AVIF", "JPEG 2000")
"""Of images, as errors name them."""

Coding = Literal["HEIF", "AVIF"]

_AVIF = (b"avif", b"avis")
_HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1", b"mif2")
"""Brands of ISO/IEC 23008-12; the last three say nothing of the coding."""


def isobmff_image(head: bytes) -> Coding | None:
    """How the image is coded that a file of boxes (ISO/IEC 14496-12) holds; None of any other file."""
    if head[4:8] != b"ftyp":
        return None
    size = min(int.from_bytes(head[:4], "big"), len(head))
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, size - 3, 4))]
    if any(brand in _AVIF for brand in brands):
        return "AVIF"
    return "HEIF" if any(brand in _HEIF for brand in brands) else None


def require(coding: Coding, name: str) -> None:
    """Raises UnsupportedDocumentError where nothing is installed that decodes it."""
    if coding == "HEIF" and not has_heif():
        raise UnsupportedDocumentError(
            "this is a HEIF (HEIC) image, and pillow-heif, which decodes them, is not installed",
            source=name,
            remedy='Run pip install "internvl-documents[heif]", or save it as JPEG',
        )
    if coding == "AVIF" and not has_avif():
        raise UnsupportedDocumentError(
            "this is an AVIF image, and this Pillow has no AVIF decoder",
            source=name,
            remedy="Install Pillow 11.3 or newer from its wheels, or save it as JPEG",
        )


def has_avif() -> bool:
    from PIL import features

    return "avif" in features.get_supported_modules()


@cache
def has_heif() -> bool:
    """Whether HEIF can be decoded; from then on Pillow opens it. pi-heif is pillow-heif without encoders."""
    for module in ("pillow_heif", "pi_heif"):
        try:
            import_module(module).register_heif_opener(thumbnails=False)
        except ImportError:
            continue
        return True
    return False
