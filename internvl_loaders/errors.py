"""Errors of opening, reading and parsing documents; they are those of `internvl_llm.errors`."""

from internvl_llm.errors import (
    DamagedDocumentError,
    DocumentNotFoundError,
    EmptyDocumentError,
    InternVLError,
    LimitError,
    MissingDependencyError,
    OptionError,
    PageError,
    PageRangeError,
    PasswordError,
    SourceError,
    SourcePermissionError,
    UnsupportedDocumentError,
    UrlError,
)
from internvl_llm.errors import limit_error as limit_error

__all__ = [
    "DamagedDocumentError",
    "DocumentNotFoundError",
    "EmptyDocumentError",
    "InternVLError",
    "LimitError",
    "MissingDependencyError",
    "OptionError",
    "PageError",
    "PageRangeError",
    "PasswordError",
    "SourceError",
    "SourcePermissionError",
    "UnsupportedDocumentError",
    "UrlError",
]
