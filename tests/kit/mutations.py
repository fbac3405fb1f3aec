"""Damaged and hostile documents made of sound ones, the same for the same seed.

A mutator is a pure function of a document's bytes and a random source. It returns the bytes as they
were where they hold nothing it could work on.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from random import Random

from tests.kit import mutations_images as images
from tests.kit import mutations_pdf as pdf
from tests.kit.mutations_images import HEADS, kind

Mutator = Callable[[bytes, Random], bytes]


def truncate(data: bytes, random: Random) -> bytes:
    return data[: random.randrange(len(data))] if data else data


def flip_bits(data: bytes, random: Random) -> bytes:
    out = bytearray(data)
    for _ in range(random.choice((1, 8, 64, 512)) if data else 0):
        out[random.randrange(len(out))] ^= 1 << random.randrange(8)
    return bytes(out)


def overwrite_runs(data: bytes, random: Random) -> bytes:
    out = bytearray(data)
    for _ in range(random.randint(1, 8)):
        start, end = _span(data, random, 256)
        run = random.choice((b"\x00", b"\xff", b" ", random.randbytes(1))) * (end - start)
        out[start:end] = random.choice((run, random.randbytes(end - start)))
    return bytes(out)


def swap_chunks(data: bytes, random: Random) -> bytes:
    a, b, c, d = sorted(random.randint(0, len(data)) for _ in range(4))
    return data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:]


def duplicate_chunk(data: bytes, random: Random) -> bytes:
    start, end = _span(data, random, 65_536)
    return data[:start] + data[start:end] * random.choice((2, 3, 20)) + data[end:]


def remove_chunk(data: bytes, random: Random) -> bytes:
    start, end = _span(data, random, 65_536)
    return data[:start] + data[end:]


def wrong_magic(data: bytes, random: Random) -> bytes:
    """Another type's first bytes, before its own or in their place."""
    own = kind(data)
    head = random.choice([head for name, head in HEADS.items() if name != own])
    return head + (data if random.random() < 0.5 else data[len(head) :])


def huge_numbers(data: bytes, random: Random) -> bytes:
    """Numbers written in digits, or as 32 bits, become huge or zero."""
    if kind(data) == "pdf":
        return pdf.renumbered(data, rb"(?<![\d.])\d+(?![\d.])", random, random.randint(1, 12))
    out = bytearray(data)
    for _ in range(random.randint(1, 6) if len(data) > 8 else 0):
        value = random.choice((0, 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF))
        struct.pack_into(random.choice("<>") + "I", out, random.randrange(min(len(data), 2048) - 4), value)
    return bytes(out)


_ANY = (
    truncate,
    flip_bits,
    overwrite_runs,
    swap_chunks,
    duplicate_chunk,
    remove_chunk,
    wrong_magic,
    huge_numbers,
)
_PDF = (
    *(pdf.swap_objects, pdf.deep_array, pdf.deep_pages, pdf.deep_forms, pdf.deep_content),
    *(
        pdf.cyclic_parent,
        pdf.cyclic_kids,
        pdf.cyclic_contents,
        pdf.cyclic_form,
        pdf.cyclic_prev,
        pdf.cyclic_length,
    ),
    *(pdf.lying_lengths, pdf.lying_counts, pdf.lying_widths, pdf.lying_image_sizes, pdf.lying_xref),
)
MUTATORS: Mapping[str, tuple[Mutator, ...]] = {
    "pdf": _ANY + _PDF,
    "png": (*_ANY, images.lying_chunks, images.lying_size),
    "jpeg": (*_ANY, images.lying_chunks, images.lying_size),
    "tiff": (*_ANY, images.lying_size, images.lying_tags, images.cyclic_directories),
    "gif": (*_ANY, images.lying_size),
    "webp": (*_ANY, images.lying_size),
    "bmp": (*_ANY, images.lying_size),
    "other": _ANY,
}
"""By type of document; the first of any are those that know nothing of types."""


def mutants(documents: Mapping[str, bytes], count: int, seed: int) -> Iterator[tuple[str, str, bytes]]:
    """`count` times (name of the document, name of the mutator, its result), every one a change.

    Types take turns, and within a type its mutators, so that each is used on as many documents.
    """
    random = Random(seed)
    types: dict[str, list[str]] = {}
    for name in sorted(documents):
        types.setdefault(kind(documents[name]), []).append(name)
    turns = dict.fromkeys(types, 0)
    # a PDF can be wrong in more ways than an image, and one WEBP among hundreds of files is one
    order = [name for name, of in sorted(types.items()) for _ in MUTATORS[name][: 3 * len(of)]]
    random.shuffle(order)
    made = 0
    for turn in range(100 * count):
        if made == count or not order:
            return
        chosen = order[turn % len(order)]
        mutator = MUTATORS[chosen][turns[chosen] % len(MUTATORS[chosen])]
        turns[chosen] += 1
        for name in random.sample(types[chosen], min(20, len(types[chosen]))):
            changed = mutator(documents[name], random)
            if changed != documents[name]:
                yield name, mutator.__name__, changed
                made += 1
                break


def _span(data: bytes, random: Random, longest: int) -> tuple[int, int]:
    start = random.randint(0, len(data))
    return start, min(len(data), start + random.randint(1, longest))
