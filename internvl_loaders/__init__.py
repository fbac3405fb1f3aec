"""PDFs and scanned images to structured pages: text, tables, boxes, reading order.

    from internvl_loaders import parse
    for page in parse("contract.pdf"):
        print(page.number, page.status, page.markdown)

Importing this package loads no reader, no model and no framework.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from internvl_llm.version import __version__

if TYPE_CHECKING:
    from internvl_llm.media.limits import Limits
    from internvl_loaders.document import Block, Box, Cell, Document, Image, Page, Table, Word
    from internvl_loaders.errors import InternVLError, OptionError, PageError, SourceError
    from internvl_loaders.options import ParseOptions
    from internvl_loaders.pipeline.run import aparse, parse
    from internvl_loaders.sources import FsspecFile, Named

_HOMES = {
    "document": ("Block", "Box", "Cell", "Document", "Image", "Page", "Table", "Word"),
    "errors": ("InternVLError", "OptionError", "PageError", "SourceError"),
    "options": ("Limits", "ParseOptions"),
    "pipeline.run": ("aparse", "parse"),
    "sources": ("FsspecFile", "Named"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Block",
    "Box",
    "Cell",
    "Document",
    "FsspecFile",
    "Image",
    "InternVLError",
    "Limits",
    "Named",
    "OptionError",
    "Page",
    "PageError",
    "ParseOptions",
    "SourceError",
    "Table",
    "Word",
    "__version__",
    "aparse",
    "parse",
]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
