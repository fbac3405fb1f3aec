"""The values filled into an XFA form (XFA 3.3, chapter 4), whose page in the PDF is but a placeholder."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from internvl_loaders.content import Field, Rect

_DATA = "{http://www.xfa.org/schema/xfa-data/1.0/}data"
_WAITING = re.compile(
    r"please\s+wait|if\s+this\s+message\s+is\s+not\s+eventually\s+replaced|requires?\s+adobe\s+(?:acrobat|reader)",
    re.IGNORECASE,
)
_LONGEST_PLACEHOLDER = 3_000
_MOST_VALUES = 5_000
_DEEPEST = 64


def is_placeholder(words: Sequence[str]) -> bool:
    """Whether a page's words only say that Adobe's programs would show a form."""
    text = " ".join(words[:600])
    return len(text) < _LONGEST_PLACEHOLDER and _WAITING.search(text) is not None


def values_of(data: bytes) -> list[Field]:
    """The values in the order of the data, named by the elements around them; they have no place."""
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(data.rstrip(b"\0"), parser)
    except etree.XMLSyntaxError:
        return []
    found: list[Field] = []
    for start in root.iter(_DATA):
        for path, value in _leaves(start, (), 0):
            if len(found) < _MOST_VALUES:
                found.append(Field("text", Rect(0, 0, 0, 0), ".".join(path[-3:]), value))
    return found


def _leaves(element: object, path: tuple[str, ...], depth: int) -> Iterator[tuple[tuple[str, ...], str]]:
    children = [child for child in element if isinstance(child.tag, str)]  # type: ignore[attr-defined]
    for child in children if depth < _DEEPEST else ():
        name = child.tag.rpartition("}")[2]
        text = (child.text or "").strip()
        if text and not any(isinstance(inner.tag, str) for inner in child):
            yield (*path, name), text
        yield from _leaves(child, (*path, name), depth + 1)
