"""PDFs from content streams, so that both readers can be tested without a PDF library."""

from __future__ import annotations

import io
import zlib
from typing import Any

import PIL.Image

FONTS = {
    "F": "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    "B": "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>",
    "I": "<< /Type /Font /Subtype /Type1 /BaseFont /Times-Italic /Encoding /WinAnsiEncoding >>",
    "M": "<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding >>",
    "S": "<< /Type /Font /Subtype /Type1 /BaseFont /Symbol >>",
    "Z": "<< /Type /Font /Subtype /Type1 /BaseFont /ZapfDingbats >>",
}
IMAGES = {"Opaque": 255, "Clear": 40}


def page_pdf(
    content: str,
    *,
    media: tuple[float, ...] = (0, 0, 400, 600),
    extra: str = "",
    catalog: str = "",
    objects: tuple[str, ...] = (),
) -> bytes:
    """One page; fonts F B I M S Z and images /Opaque /Clear may be used.

    `extra` goes into the page, `catalog` into the catalog, `objects` become 20, 21 and so on.
    """
    fonts = " ".join(f"/{name} {font}" for name, font in FONTS.items())
    box = " ".join(f"{v:g}" for v in media)
    bodies: dict[int, bytes] = {
        1: f"<< /Type /Catalog /Pages 2 0 R {catalog} >>".encode(),
        2: b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        3: (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [{box}] /Contents 4 0 R {extra} /Resources "
            f"<< /Font << {fonts} >> /XObject << /Opaque 5 0 R /Clear 6 0 R >> >> >>"
        ).encode(),
        4: stream("", content.encode("cp1252")),
        5: stream(image_entries(), zlib.compress(bytes([200, 210, 220]) * 100)),
        6: stream(image_entries() + " /SMask 7 0 R", zlib.compress(bytes([0, 0, 90]) * 100)),
        7: stream(image_entries("DeviceGray"), zlib.compress(bytes([40]) * 100)),
    }
    bodies |= {20 + i: body.encode("cp1252") for i, body in enumerate(objects)}
    return assemble(bodies)


def image_entries(colours: str = "DeviceRGB") -> str:
    return (
        f"/Type /XObject /Subtype /Image /Width 10 /Height 10 /BitsPerComponent 8 /ColorSpace /{colours} "
        "/Filter /FlateDecode"
    )


def stream(entries: str, data: bytes) -> bytes:
    return f"<< /Length {len(data)} {entries} >>\nstream\n".encode() + data + b"\nendstream"


def assemble(bodies: dict[int, bytes]) -> bytes:
    out = bytearray(b"%PDF-1.7\n")
    size = max(bodies) + 1
    offsets = {}
    for number, body in bodies.items():
        offsets[number] = len(out)
        out += f"{number} 0 obj\n".encode() + body + b"\nendobj\n"
    start = len(out)
    out += f"xref\n0 {size}\n".encode()
    for number in range(size):
        place = offsets.get(number)
        out += b"0000000000 65535 f \n" if place is None else f"{place:010} 00000 n \n".encode()
    out += f"trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n".encode()
    return bytes(out)


def no_pages() -> bytes:
    return assemble({1: b"<< /Type /Catalog /Pages 2 0 R >>", 2: b"<< /Type /Pages /Kids [] /Count 0 >>"})


def image_bytes(image: PIL.Image.Image, form: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()
