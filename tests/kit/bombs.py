"""Small files that ask for gigabytes, hours or endless recursion, and what reading one comes to."""

from __future__ import annotations

import struct
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import PIL.Image
import psutil

from internvl_loaders import parse
from internvl_loaders.document import Page
from tests.kit.build import assemble, image_bytes, stream

MB = 2**20
GB = 2**30
FORM = "/Type /XObject /Subtype /Form /BBox [0 0 400 600]"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The pages a document came to (number 0: it was not opened), and the worker's most bytes in memory."""

    pages: list[Page]
    seconds: float
    peak: int

    @property
    def reason(self) -> str:
        return self.pages[0].reason


def outcome(document: bytes, **options: Any) -> Outcome:
    """Reads it in a worker, of which there is one at a time."""
    peak, done = 0, threading.Event()
    here = psutil.Process()

    def end_large() -> None:
        for child in here.children():
            with suppress(psutil.Error):
                if child.memory_info().rss > 700 * MB:
                    child.kill()
                    child.wait()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.01):
            for child in here.children():
                try:
                    peak = max(peak, child.memory_info().rss)
                except psutil.Error:
                    continue

    end_large()  # idle ones, whose memory is of what others read
    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.monotonic()
    try:
        pages = list(parse(document, jobs=1, on_error="placeholder", **options))
    finally:
        done.set()
        watcher.join()
        if peak > 700 * MB:  # what it keeps of that is not the next document's
            for child in here.children():
                child.kill()
    return Outcome(pages, time.monotonic() - started, peak)


def deflated(unit: bytes, size: int, times: int = 1, *, first: bytes = b"") -> bytes:
    """`first`, then `size` bytes of `unit` again and again, compressed that many times over.

    A full flush forgets what came before, so one compressed block can stand for all alike.
    """
    block = (unit * (MB // len(unit) + 1))[: MB // len(unit) * len(unit)]
    whole, rest = divmod(size, len(block))
    last = (unit * (rest // len(unit) + 1))[:rest]
    squeeze = zlib.compressobj(9)
    head = squeeze.compress(first) + squeeze.flush(zlib.Z_FULL_FLUSH)
    one = squeeze.compress(block) + squeeze.flush(zlib.Z_FULL_FLUSH)
    tail = squeeze.compress(last) + squeeze.flush()
    checksum = zlib.adler32(first)
    for _ in range(whole):
        checksum = zlib.adler32(block, checksum)
    data = head + one * whole + tail[:-4] + struct.pack(">I", zlib.adler32(last, checksum))
    for _ in range(times - 1):
        data = zlib.compress(data, 9)
    return data


# Images


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int = 8, height: int = 8, *, depth: int = 8, colour: int = 0, extra: bytes = b"") -> bytes:
    """Blank, its pixels really there."""
    samples = {0: 1, 2: 3, 6: 4}[colour]
    size = (1 + (width * depth * samples + 7) // 8) * height
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    pixels = deflated(b"\0", size)
    return b"\x89PNG\r\n\x1a\n" + header + extra + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def png_declaring(width: int, height: int) -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + _chunk(b"IDAT", zlib.compress(bytes(99))) + _chunk(b"IEND", b"")


def png_texts(kind: bytes, size: int = 256 * MB, count: int = 1) -> bytes:
    """With compressed chunks beside the pixels: zTXt, iTXt or iCCP."""
    head = {b"zTXt": b"k\0\0", b"iTXt": b"k\0\1\0\0\0", b"iCCP": b"k\0\0"}[kind]
    return png(extra=_chunk(kind, head + deflated(b"a", size)) * count)


def tiff(entries: dict[int, tuple[int, int, int]], *, following: int = 0) -> bytes:
    """Little-endian, one directory at 8; tag: (type, count, value or offset)."""
    out = b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries))
    for tag, (kind, count, value) in sorted(entries.items()):
        out += struct.pack("<HHII", tag, kind, count, value)
    return out + struct.pack("<I", following) + bytes(64)


def tiff_declaring(width: int, height: int, strips: int = 1) -> bytes:
    return tiff(
        {
            256: (4, 1, width),
            257: (4, 1, height),
            258: (3, 1, 8),
            259: (3, 1, 1),
            262: (3, 1, 1),
            273: (4, strips, 8),
            277: (3, 1, 1),
            278: (4, 1, height),
            279: (4, strips, width * height & 0xFFFFFFFF),
        }
    )


def tiff_frames(count: int, *, loop: bool = False) -> bytes:
    """Pages of one white pixel; the last one may lead back to the first."""
    size = 2 + 9 * 12 + 4
    out = bytearray(b"II*\0\x10\0\0\0" + bytes(8))
    for i in range(count):
        here = 16 + i * size
        out += struct.pack("<H", 9)
        for tag, kind, value in (
            *((256, 4, 1), (257, 4, 1), (258, 3, 8), (259, 3, 1), (262, 3, 1)),
            *((273, 4, 8), (277, 3, 1), (278, 4, 1), (279, 4, 1)),
        ):
            out += struct.pack("<HHII", tag, kind, 1, value)
        out += struct.pack("<I", here + size if i < count - 1 else 16 if loop else 0)
    return bytes(out)


def tiff_tags(tags: int, size: int) -> bytes:
    """One pixel, and so many tags that all claim the same bytes."""
    plain = {256: (4, 1, 1), 257: (4, 1, 1), 258: (3, 1, 8), 273: (4, 1, 8), 279: (4, 1, 1)}
    return tiff(plain | {1000 + i: (7, size, 8) for i in range(tags)}) + bytes(size)


def jpeg_of_scans(scans: int, side: int = 2000) -> bytes:
    """Progressive; its last scan again and again."""
    data = image_bytes(PIL.Image.new("L", (side, side), 128), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * scans + data[-2:]


def gif_canvas(width: int, height: int) -> bytes:
    data = bytearray(image_bytes(PIL.Image.new("P", (2, 2)), "GIF"))
    data[6:10] = struct.pack("<HH", width, height)
    return bytes(data)


def webp_canvas(width: int, height: int) -> bytes:
    """An animation whose canvas is larger than its frames."""
    frames = [PIL.Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    data = bytearray(image_bytes(frames[0], "WEBP", save_all=True, append_images=frames[1:]))
    place = data.index(b"VP8X") + 12
    data[place : place + 6] = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return bytes(data)


def bmp_declaring(width: int, height: int, bits: int = 24) -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, 0, 0, 2835, 2835, 0, 0)
    return struct.pack("<2sIHHI", b"BM", 100, 0, 0, 54) + info + bytes(46)


# PDFs


def pdf_of(content: bytes = b"", *, page: str = "", resources: str = "", **objects: bytes) -> bytes:
    """One page; `content` is a whole stream object, `objects` are o10, o11 and so on."""
    box = "" if "/MediaBox" in page else "/MediaBox [0 0 400 600]"
    font = "/Font << /F << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >>"
    bodies = {
        1: b"<< /Type /Catalog /Pages 2 0 R >>",
        2: b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        3: f"<< /Type /Page /Parent 2 0 R {box} {page} /Contents 4 0 R "
        f"/Resources << {font} {resources} >> >>".encode(),
        4: content or stream("", b"BT /F 12 Tf 50 500 Td (Hello) Tj ET"),
    }
    return assemble(bodies | {int(name[1:]): body for name, body in objects.items()})


def flate_content(unit: bytes, size: int = GB, times: int = 1) -> bytes:
    filters = " ".join(["/FlateDecode"] * times)
    return pdf_of(stream(f"/Filter [{filters}]", deflated(unit, size, times)))


def image_pdf(entries: str, data: bytes) -> bytes:
    return pdf_of(
        stream("", b"q 400 0 0 600 0 0 cm /I Do Q"),
        resources="/XObject << /I 10 0 R >>",
        o10=stream(f"/Type /XObject /Subtype /Image {entries}", data),
    )


def flate_image(side: int, size: int, bits: int = 8, colours: str = "DeviceRGB") -> bytes:
    """Declares side x side pixels; `size` bytes of them are there."""
    return image_pdf(
        f"/Width {side} /Height {side} /BitsPerComponent {bits} /ColorSpace /{colours} /Filter /FlateDecode",
        deflated(b"\0", size),
    )


def jbig2_declaring(side: int) -> bytes:
    """A page of that size and nothing on it."""
    page = struct.pack(">IBBI", 0, 0x30, 1, 19) + struct.pack(">IIIIBH", side, side, 0, 0, 0, 0)
    end = struct.pack(">IBBI", 1, 0x31, 1, 0)
    entries = f"/Width {side} /Height {side} /BitsPerComponent 1 /ColorSpace /DeviceGray /Filter /JBIG2Decode"
    return image_pdf(entries, page + end)


def jpx_declaring(side: int, told: int = 10) -> bytes:
    """A codestream of side x side pixels; the PDF says `told`."""
    data = bytearray(image_bytes(PIL.Image.new("RGB", (16, 16)), "JPEG2000", no_jp2=True))
    place = data.index(b"\xff\x51") + 6
    data[place : place + 8] = struct.pack(">II", side, side)
    data[place + 16 : place + 24] = struct.pack(">II", side, side)
    return image_pdf(f"/Width {told} /Height {told} /Filter /JPXDecode", bytes(data))


def media_box(box: str) -> bytes:
    return pdf_of(page=f"/MediaBox {box}")


def deep_tree(levels: int) -> bytes:
    bodies = {1: b"<< /Type /Catalog /Pages 2 0 R >>"}
    for i in range(levels):
        parent = f"/Parent {i + 1} 0 R" if i else ""
        bodies[2 + i] = f"<< /Type /Pages {parent} /Kids [{i + 3} 0 R] /Count 1 >>".encode()
    last = levels + 2
    bodies[last] = f"<< /Type /Page /Parent {last - 1} 0 R /MediaBox [0 0 400 600] >>".encode()
    return assemble(bodies)


def tree(root: str, more: str = "<< /Type /Pages /Parent 2 0 R /Kids [2 0 R] /Count 1 >>") -> bytes:
    """A page tree of that root (object 2), a page (3) and another node (4)."""
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 400 600] /Contents 5 0 R >>"
    nodes = {2: root.encode(), 3: page, 4: more.encode(), 5: stream("", b"0 0 m 9 9 l S")}
    return assemble({1: b"<< /Type /Catalog /Pages 2 0 R >>"} | nodes)


def laughs(levels: int = 12, fan: int = 10) -> bytes:
    """Forms that each draw the next one ten times."""
    objects = {}
    for i in range(levels):
        inner = b"/X Do " * fan if i < levels - 1 else b"0 0 m 9 9 l S"
        entries = f"{FORM} /Resources << /XObject << /X {11 + i} 0 R >> >>"
        objects[f"o{10 + i}"] = stream(entries, inner)
    return pdf_of(stream("", b"/X Do"), resources="/XObject << /X 10 0 R >>", **objects)


def form_in_itself() -> bytes:
    entries = f"{FORM} /Resources << /XObject << /X 10 0 R >> >>"
    return pdf_of(
        stream("", b"/X Do"), resources="/XObject << /X 10 0 R >>", o10=stream(entries, b"/X Do /X Do")
    )


def pattern_in_itself() -> bytes:
    entries = (
        "/Type /Pattern /PatternType 1 /PaintType 1 /TilingType 1 /BBox [0 0 9 9] /XStep 9 /YStep 9 "
        "/Resources << /Pattern << /P 10 0 R >> >>"
    )
    draw = b"/Pattern cs /P scn 0 0 400 600 re f"
    return pdf_of(stream("", draw), resources="/Pattern << /P 10 0 R >>", o10=stream(entries, draw))


def tiny_tiles() -> bytes:
    """A pattern of millionths of a point over the whole page."""
    entries = (
        "/Type /Pattern /PatternType 1 /PaintType 1 /TilingType 1 /BBox [0 0 1 1] "
        "/XStep 0.0001 /YStep 0.0001 "
        "/Resources << >>"
    )
    draw = b"/Pattern cs /P scn 0 0 400 600 re f"
    return pdf_of(
        stream("", draw), resources="/Pattern << /P 10 0 R >>", o10=stream(entries, b"0 0 1 1 re f")
    )


def type3_in_itself() -> bytes:
    font = (
        b"<< /Type /Font /Subtype /Type3 /FontBBox [0 0 9 9] /FontMatrix [1 0 0 1 0 0] "
        b"/FirstChar 65 /LastChar 65 "
        b"/Widths [9] /Encoding << /Differences [65 /A] >> /CharProcs << /A 11 0 R >> "
        b"/Resources << /Font << /T 10 0 R >> >> >>"
    )
    draw = b"BT /T 12 Tf 50 500 Td (AAAA) Tj ET"
    return pdf_of(
        stream("", draw), page="", resources="/Dummy << >> ", o10=font, o11=stream("", b"9 0 d0 " + draw)
    ).replace(b"/Font << /F ", b"/Font << /T 10 0 R /F ")


def nested(opening: bytes, closing: bytes, depth: int) -> bytes:
    """In a dictionary that is looked at when the document is opened and when its page is read."""
    deep = opening * depth + b"0 " + closing * depth
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 400 600] /Contents 4 0 R /Annots " + deep + b" >>"
    return assemble(
        {
            1: b"<< /Type /Catalog /Pages 2 0 R /Names " + deep + b" >>",
            2: b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            3: page,
            4: stream("", b"BT ET"),
        }
    )


def nested_in_content(opening: bytes, closing: bytes, depth: int) -> bytes:
    return pdf_of(stream("", opening * depth + b" " + closing * depth + b" BT /F 9 Tf 50 50 Td (end) Tj ET"))


def object_stream(size: int = GB) -> bytes:
    """A PDF 1.5 file whose catalog, pages and page are in an object stream that swells."""
    inner = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 400 600] /Contents 6 0 R >>",
    ]
    offsets, at = [], 0
    for number, body in enumerate(inner, 1):
        offsets.append(f"{number} {at}")
        at += len(body) + 1
    head = " ".join(offsets).encode() + b" "
    data = deflated(b" ", size, first=head + b" ".join(inner))
    entries = f"/Type /ObjStm /N 3 /First {len(head)} /Filter /FlateDecode"
    out = b"%PDF-1.7\n"
    first = len(out)
    out += b"4 0 obj\n" + stream(entries, data) + b"\nendobj\n"
    second = len(out)
    out += b"6 0 obj\n" + stream("", b"9 w 50 50 m 300 300 l S") + b"\nendobj\n"
    start = len(out)
    rows = [(0, 0, 255), (2, 4, 0), (2, 4, 1), (2, 4, 2), (1, first, 0), (1, start, 0), (1, second, 0)]
    table = b"".join(struct.pack(">BIB", *row) for row in rows)
    out += b"5 0 obj\n" + stream("/Type /XRef /Size 7 /W [1 4 1] /Root 1 0 R", table) + b"\nendobj\n"
    return out + f"startxref\n{start}\n%%EOF\n".encode()


def xref_stream(size: int, declared: int) -> bytes:
    """A cross-reference stream that swells and declares that many objects."""
    out = b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n"
    out += b"2 0 obj\n<< /Type /Pages /Kids [3 0 R] /Count 1 >>\nendobj\n"
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 400 600] /Contents 4 0 R >>"
    out += (
        b"3 0 obj\n" + page + b"\nendobj\n4 0 obj\n" + stream("", b"9 w 50 50 m 300 300 l S") + b"\nendobj\n"
    )
    start = len(out)
    entries = f"/Type /XRef /Size {declared} /W [1 4 1] /Root 1 0 R /Filter /FlateDecode"
    out += b"5 0 obj\n" + stream(entries, deflated(b"\1\0\0\0\x09\0", size)) + b"\nendobj\n"
    return out + f"startxref\n{start}\n%%EOF\n".encode()


def xref_loop() -> bytes:
    """Two tables that each name the other as the one before."""
    whole = pdf_of()
    start = whole.index(b"xref\n0")
    trailer = whole.index(b"trailer")
    first = whole[:trailer] + b"trailer\n<< /Size 5 /Root 1 0 R /Prev SECOND___ >>\n"
    second = len(first)
    last = whole[start:trailer] + f"trailer\n<< /Size 5 /Root 1 0 R /Prev {start} >>\n".encode()
    out = first.replace(b"SECOND___", f"{second:<9}".encode()) + last
    return out + f"startxref\n{second}\n%%EOF\n".encode()


def inline_image(side: int) -> bytes:
    head = f"q 400 0 0 600 0 0 cm BI /W {side} /H {side} /BPC 8 /CS /RGB /F /Fl ID ".encode()
    return pdf_of(stream("", head + deflated(b"\0", 64 * MB) + b"\nEI Q"))


def encrypted_garbage() -> bytes:
    whole = pdf_of()
    garbage = b"/Encrypt << /Filter /Standard /V 5 /R 6 /O (x) /U (y) /OE (z) /UE () /P -1 /Perms (q) >>"
    return whole.replace(b"/Root 1 0 R", b"/Root 1 0 R /ID [(a) (b)] " + garbage)


BOMBS: dict[str, Callable[[], bytes]] = {
    "png declares 60,000 x 60,000": lambda: png_declaring(60_000, 60_000),
    "png declares 2^31-1 squared": lambda: png_declaring(2**31 - 1, 2**31 - 1),
    "png 13,000 x 13,000 x 64 bit": lambda: png(13_000, 13_000, depth=16, colour=6),
    "png 14,000 x 14,000 grey": lambda: png(14_000, 14_000),
    "png zTXt 256 MB": lambda: png_texts(b"zTXt"),
    "png iTXt 256 MB": lambda: png_texts(b"iTXt"),
    "png iCCP 256 MB": lambda: png_texts(b"iCCP"),
    "png zTXt 0.9 MB x 200": lambda: png_texts(b"zTXt", 15 * MB // 16, 200),
    "tiff declares 2^32-1 squared": lambda: tiff_declaring(2**32 - 1, 2**32 - 1),
    "tiff declares 14,000 squared": lambda: tiff_declaring(14_000, 14_000),
    "tiff 2^31 strips": lambda: tiff_declaring(100, 100, 2**31),
    "tiff 20,000 frames": lambda: tiff_frames(20_000),
    "tiff 200,000 frames": lambda: tiff_frames(200_000),
    "tiff loop": lambda: tiff_frames(3, loop=True),
    "tiff 30,000 tags of one 1 MB": lambda: tiff_tags(30_000, MB),
    "jpeg 2,000 scans": lambda: jpeg_of_scans(2_000),
    "gif canvas 65,535 squared": lambda: gif_canvas(65_535, 65_535),
    "gif canvas 14,000 squared": lambda: gif_canvas(14_000, 14_000),
    "webp canvas 2^24 squared": lambda: webp_canvas(2**24, 2**24),
    "webp canvas 65,000 squared": lambda: webp_canvas(65_000, 65_000),
    "webp canvas 14,000 squared": lambda: webp_canvas(14_000, 14_000),
    "bmp declares 100,000 squared": lambda: bmp_declaring(100_000, 100_000),
    "bmp declares 14,000 squared": lambda: bmp_declaring(14_000, 14_000),
    "pdf content 1 GiB of spaces": lambda: flate_content(b" "),
    "pdf content 1 GiB thrice deflated": lambda: flate_content(b" ", times=3),
    "pdf content 1 GiB of path": lambda: flate_content(b"1 1 l "),
    "pdf content 1 GiB of lines": lambda: flate_content(b"0 0 m 9 9 l S "),
    "pdf content 1 GiB of text": lambda: flate_content(b"BT /F 9 Tf 9 9 Td (aaaaaaaaaaaaaaaaaaaa) Tj ET "),
    "pdf content 1 GiB of operands": lambda: flate_content(b"1 "),
    "pdf content 1 GiB string": lambda: flate_content(b"("),
    "pdf object stream 1 GiB": object_stream,
    "pdf xref stream 1 GiB": lambda: xref_stream(GB, 178_000_000),
    "pdf xref declares 2^31-1": lambda: xref_stream(MB, 2**31 - 1),
    "pdf image declares 60,000 squared": lambda: flate_image(60_000, 1000),
    "pdf image 60,000 squared 1 bit": lambda: flate_image(60_000, 450_000_000, 1, "DeviceGray"),
    "pdf image 20,000 squared": lambda: flate_image(20_000, 1_200_000_000),
    "pdf jbig2 2^31": lambda: jbig2_declaring(2**31 - 1),
    "pdf jbig2 60,000": lambda: jbig2_declaring(60_000),
    "pdf jpx 60,000, told 10": lambda: jpx_declaring(60_000),
    "pdf jpx 60,000": lambda: jpx_declaring(60_000, 60_000),
    "pdf inline image 20,000": lambda: inline_image(20_000),
    "pdf media box 1e6": lambda: media_box("[0 0 1000000 1000000]"),
    "pdf media box 1e30": lambda: media_box("[0 0 1e30 1000000000000000000000000000000]"),
    "pdf media box 1e6 x 0.001": lambda: media_box("[0 0 1000000 0.001]"),
    "pdf media box negative": lambda: media_box("[400 600 -400 -600]"),
    "pdf media box zero": lambda: media_box("[0 0 0 0]"),
    "pdf media box nan": lambda: media_box("[nan nan inf -inf]"),
    "pdf tree 10,000 deep": lambda: deep_tree(10_000),
    "pdf tree cyclic": lambda: tree("<< /Type /Pages /Kids [3 0 R 4 0 R] /Count 2 >>"),
    "pdf tree its own child": lambda: tree("<< /Type /Pages /Kids [2 0 R] /Count 1 >>"),
    "pdf count 98": lambda: tree("<< /Type /Pages /Kids [3 0 R] /Count 98 >>"),
    "pdf count 2,000,000,000": lambda: tree("<< /Type /Pages /Kids [3 0 R] /Count 2000000000 >>"),
    "pdf count 2^40": lambda: tree("<< /Type /Pages /Kids [3 0 R] /Count 1099511627776 >>"),
    "pdf count negative": lambda: tree("<< /Type /Pages /Kids [3 0 R] /Count -5 >>"),
    "pdf kids a million times one": lambda: tree(
        f"<< /Type /Pages /Kids [{'3 0 R ' * 10**6}] /Count 1000000 >>"
    ),
    "pdf billion laughs": laughs,
    "pdf form in itself": form_in_itself,
    "pdf pattern in itself": pattern_in_itself,
    "pdf pattern of tiny tiles": tiny_tiles,
    "pdf type 3 font in itself": type3_in_itself,
    "pdf 100,000 q": lambda: nested_in_content(b"q ", b"Q ", 100_000),
    "pdf 2,000,000 q": lambda: flate_content(b"q ", 4_000_000),
    "pdf content arrays 1,000,000 deep": lambda: nested_in_content(b"[", b"]", 1_000_000),
    "pdf content dicts 1,000,000 deep": lambda: nested_in_content(b"/A <</A ", b">>", 1_000_000),
    "pdf arrays 1,000,000 deep": lambda: nested(b"[", b"]", 1_000_000),
    "pdf dicts 1,000,000 deep": lambda: nested(b"<</A ", b">>", 1_000_000),
    "pdf encrypted garbage": encrypted_garbage,
    "pdf xref loop": xref_loop,
}
