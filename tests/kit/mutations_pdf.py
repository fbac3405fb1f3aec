"""Mutators of PDFs: cycles, depth, and numbers that lie; see `tests.kit.mutations`."""

from __future__ import annotations

import re
from random import Random

_HUGE = (0, 1, 255, 65_535, 65_536, 99_999, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 10**19, 10**40)
_FORM = b"/Type /XObject /Subtype /Form /BBox [0 0 9 9]"


def swap_objects(data: bytes, random: Random) -> bytes:
    """The bodies of two objects change places."""
    bodies = [m.span(1) for m in re.finditer(rb"\d+ \d+ obj(.*?)endobj", data, re.DOTALL)]
    if len(bodies) < 2:
        return data
    (a, b), (c, d) = sorted(random.sample(bodies, 2))
    return data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:]


def deep_array(data: bytes, random: Random) -> bytes:
    depth = random.choice((100, 5_000, 100_000))
    left, right = random.choice(((b"[", b"]"), (b"<</A", b">>")))
    closed = random.random() < 0.5
    nest = b"/Nest " + left * depth + b"1" + right * depth * closed
    return _one_page(data, _stream(b"", b"BT ET"), {}, nest)


def deep_pages(data: bytes, random: Random) -> bytes:
    """A page tree as deep as a well, with one page at its bottom."""
    depth = random.choice((50, 1_000, 10_000))
    tree = {
        n: b"<< /Type /Pages /Kids [@%d] /Count 1 /Parent @%d >>" % (n + 1, n - 1)
        for n in range(2, depth + 2)
    }
    page = b"<< /Type /Page /Parent @%d /MediaBox [0 0 300 300] >>" % (depth + 1)
    return _update(data, {0: b"<< /Type /Catalog /Pages @1 >>", **_pages(b"@2"), **tree, depth + 2: page})


def deep_forms(data: bytes, random: Random) -> bytes:
    """Each form draws the next one twice: as many drawings as 2 to the power of the depth."""
    depth = random.choice((8, 30, 500))
    forms = {
        n: _stream(_FORM + b" /Resources << /XObject << /X @%d >> >>" % (n + 1), b"/X Do /X Do")
        for n in range(3, depth + 3)
    }
    last = _stream(_FORM, b"0 0 1 1 re f")
    return _one_page(data, _stream(b"", b"/X Do"), {**forms, depth + 3: last}, b"/XObject << /X @3 >>")


def deep_content(data: bytes, random: Random) -> bytes:
    count = random.choice((1_000, 200_000))
    operators = random.choice(
        (b"q ", b"BT ", b"/A BMC ", b"[", b"<<", b"1 0 0 1 1 1 cm q ", b"0 0 9 9 re W n ")
    )
    return _one_page(data, _stream(b"", operators * count), {}, b"")


def cyclic_parent(data: bytes, random: Random) -> bytes:
    page = b"<< /Type /Page /Parent @%d >>" % random.choice((2, 3))
    middle = b"<< /Type /Pages /Kids [@3] /Count 1 /Parent @%d >>" % random.choice((2, 3))
    return _update(data, {0: b"<< /Type /Catalog /Pages @1 >>", **_pages(b"@2"), 2: middle, 3: page})


def cyclic_kids(data: bytes, random: Random) -> bytes:
    old = re.search(rb"/Pages\s+(\d+\s+\d+\s+R)", data)
    kids = [b"@1", b"@2", b"@2", old[1] if old else b"@1"]
    random.shuffle(kids)
    middle = b"<< /Type /Pages /Kids [@1 @2] /Count %d /Parent @1 >>" % random.choice((1, 2, 50, 10**9))
    return _update(data, {0: b"<< /Type /Catalog /Pages @1 >>", **_pages(b" ".join(kids), 4), 2: middle})


def cyclic_contents(data: bytes, random: Random) -> bytes:
    contents = random.choice((b"@2", b"[@2 @2]", b"[@3 [@2] @3]", b"@3"))
    return _one_page(data, contents, {3: b"[@2 @3 @2]"}, b"")


def cyclic_form(data: bytes, random: Random) -> bytes:
    head = _FORM + b" /Resources << /XObject << /X @%d >> >>"
    forms = {3: _stream(head % random.choice((3, 4)), b"/X Do " * 3), 4: _stream(head % 3, b"/X Do /X Do")}
    return _one_page(data, _stream(b"", b"/X Do"), forms, b"/XObject << /X @3 >>")


def cyclic_prev(data: bytes, random: Random) -> bytes:
    """The cross-reference table says that it is its own predecessor, or follows one that follows it."""
    start = len(data) + 1
    target = random.choice((start, start, _startxref(data), 0))
    numbers = b"".join(b"%010d 00000 n \n" % random.randrange(len(data) + 1) for _ in range(3))
    table = b"\nxref\n0 3\n" + numbers + b"trailer\n<< %s /Prev %d >>\nstartxref\n%d\n%%%%EOF\n"
    return data + table % (_trailer(data, 3), target, start)


def cyclic_length(data: bytes, random: Random) -> bytes:
    body = b"<< /Length @2 >>\nstream\nBT ET\nendstream"
    return _one_page(data, b"@3" if random.random() < 0.5 else body, {3: b"@3"}, b"")


def lying_lengths(data: bytes, random: Random) -> bytes:
    return renumbered(data, rb"(?<=/Length)\s*\d+(?!\s+\d+\s+R)", random, random.randint(1, 5))


def lying_counts(data: bytes, random: Random) -> bytes:
    return renumbered(data, rb"(?<=/Count)\s*-?\d+|(?<=/N)\s+\d+|(?<=/First)\s+\d+", random, 3)


def lying_widths(data: bytes, random: Random) -> bytes:
    """Of cross-reference streams' fields and of fonts."""
    return renumbered(data, rb"(?<=/W)\s*\[[^\]]{0,200}|(?<=/Widths)\s*\[[^\]]{0,400}", random, 3, inner=True)


def lying_image_sizes(data: bytes, random: Random) -> bytes:
    keys = rb"(?<=/Width)\s*\d+|(?<=/Height)\s*\d+|(?<=/BitsPerComponent)\s*\d+|(?<=/Columns)\s*\d+"
    return renumbered(data, keys + rb"|(?<=/MediaBox)\s*\[[^\]]{0,80}", random, 3, inner=True)


def lying_xref(data: bytes, random: Random) -> bytes:
    """Offsets in the cross-reference table, or where it is to be found."""
    return renumbered(data, rb"\d{10}(?= \d{5} n)|(?<=startxref)\s+\d+|(?<=/Prev)\s+\d+", random, 6)


def renumbered(data: bytes, pattern: bytes, random: Random, count: int, *, inner: bool = False) -> bytes:
    """Up to `count` matches with another number in them (`inner`: in the list that they are)."""
    places = [match.span() for match in re.finditer(pattern, data)]
    for start, end in sorted(random.sample(places, min(count, len(places))), reverse=True):
        numbers = [m.span() for m in re.finditer(rb"-?\d+", data[start:end])]
        if not numbers:
            continue
        a, b = random.choice(numbers) if inner else numbers[-1]
        value = str(random.choice((*_HUGE, -1, random.randrange(10_000)))).encode()
        if random.random() < 0.5:  # nothing behind it moves
            value = value[: b - a].rjust(b - a, b"0")
        data = data[: start + a] + value + data[start + b :]
    return data


def _stream(entries: bytes, content: bytes) -> bytes:
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(content), entries, content)


def _pages(kids: bytes, count: int = 1) -> dict[int, bytes]:
    return {1: b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, count)}


def _one_page(data: bytes, contents: bytes, objects: dict[int, bytes], resources: bytes) -> bytes:
    """Its pages give way to one with these contents, object 2, and `objects` from 3 on."""
    page = (
        b"<< /Type /Page /Parent @1 /MediaBox [0 0 300 300] /Contents @2 /Resources << %s >> >>" % resources
    )
    number = max([2, *objects]) + 1
    catalog = b"<< /Type /Catalog /Pages @1 >>"
    return _update(data, {0: catalog, **_pages(b"@%d" % number), 2: contents, **objects, number: page})


def _update(data: bytes, objects: dict[int, bytes]) -> bytes:
    """An incremental update with these objects, of which 0 becomes the root; `@N` refers to one of them."""
    first = max((int(n) for n in re.findall(rb"(?<!\d)(\d{1,6}) \d+ obj", data)), default=0) + 1000
    out = bytearray(data + b"\n")
    table = bytearray(b"xref\n")
    for number, body in sorted(objects.items()):
        body = re.sub(rb"@(\d+)", lambda m: b"%d 0 R" % (first + int(m[1])), body)
        table += b"%d 1\n%010d 00000 n \n" % (first + number, len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (first + number, body)
    trailer = (
        re.sub(rb"/Root [^/>]*", b"", _trailer(data, first + max(objects) + 1)) + b"/Root %d 0 R" % first
    )
    end = b"trailer\n<< %s /Prev %d >>\nstartxref\n%d\n%%%%EOF\n" % (trailer, _startxref(data), len(out))
    return bytes(out + table + end)


def _trailer(data: bytes, size: int) -> bytes:
    """What of the old trailer a new one must say again."""
    found = re.findall(rb"/(Root|Encrypt)\s+(\d+\s+\d+\s+R)", data)
    identity = re.search(rb"/ID\s*\[[^\]]{0,200}\]", data)
    entries = [b"/%s %s" % pair for pair in dict(found).items()] + ([identity[0]] if identity else [])
    return b"/Size %d %s " % (size, b" ".join(entries))


def _startxref(data: bytes) -> int:
    found = re.findall(rb"startxref\s+(\d{1,15})", data)
    return int(found[-1]) if found else 0
