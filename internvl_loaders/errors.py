"""Errors of opening, reading and parsing documents."""

from __future__ import annotations

from internvl_llm.errors import InternVLError, MissingDependencyError, OptionError

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


class SourceError(InternVLError):
    """A document could not be opened; base of the kinds below."""


class DocumentNotFoundError(SourceError, FileNotFoundError):
    """No such file, or a glob or directory without documents."""


class SourcePermissionError(SourceError, PermissionError):
    """The operating system does not let us read it."""


class EmptyDocumentError(SourceError):
    """Zero bytes, or a document with no pages."""


class UnsupportedDocumentError(SourceError):
    """The content is of no type we read, whatever the name says."""


class DamagedDocumentError(SourceError):
    """No reader could make sense of it."""


class PasswordError(SourceError):
    """Encrypted, and the password is missing or wrong."""


class PageRangeError(SourceError):
    """The document has none of the pages asked for."""


class UrlError(SourceError):
    """A URL that may not, or could not, be fetched."""


class LimitError(SourceError):
    """A limit was reached; the message has its name and value, the remedy how to raise it."""


class PageError(InternVLError):
    """One page could not be read; its neighbours are unharmed."""


def limit_error(problem: str, name: str, value: float, source: str | None = None) -> LimitError:
    """`problem` passed the limit `name` of `value`; the remedy is the option that raises it."""
    told = f"{value:,}" if isinstance(value, int) else f"{value:g}"
    option = name.replace("_", "-")
    return LimitError(
        f"{problem} {name} = {told}", source=source, remedy=f"Raise {name} (--{option}) if you trust it"
    )
