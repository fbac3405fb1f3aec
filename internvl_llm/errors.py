"""The one error hierarchy of both packages."""

from __future__ import annotations

from internvl_llm.names import on_screen


class InternVLError(Exception):
    """Base of every error raised on purpose; its text says what, where and what to do about it.

    `source` names the document, `page` is 1-based, `remedy` is one imperative sentence. Instances
    survive pickling, so they can cross process borders.
    """

    def __init__(
        self,
        message: str,
        *,
        source: str | None = None,
        page: int | None = None,
        remedy: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.source = source
        self.page = page
        self.remedy = remedy

    def __str__(self) -> str:
        where = on_screen(self.source or "")
        if self.page is not None:
            where += f"{', ' if where else ''}page {self.page}"
        return f"{where}: {self.explanation}" if where else self.explanation

    @property
    def explanation(self) -> str:
        """The message and its remedy, without the place."""
        return f"{self.message}. {self.remedy}." if self.remedy else self.message

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message, self.source, self.page, self.remedy))


def _rebuild(
    kind: type[InternVLError],
    message: str,
    source: str | None,
    page: int | None,
    remedy: str | None,
) -> InternVLError:
    return kind(message, source=source, page=page, remedy=remedy)


class OptionError(InternVLError, ValueError):
    """An option that makes no sense by itself, before any document is looked at."""


class GrammarError(OptionError):
    """A schema, pattern or choice that no grammar can follow; said before any model is asked."""


class MissingDependencyError(InternVLError, ImportError):
    """An optional package is needed; the remedy names the extra that brings it."""


class MessageError(InternVLError, ValueError):
    """A message or conversation that cannot be; said before any model is asked."""


class MediaError(InternVLError, ValueError):
    """An image, video or document in a message that cannot be shown."""


class EngineError(InternVLError):
    """A model could not be loaded, placed or run."""


class CheckpointError(EngineError):
    """The files of a model are missing, broken, or of another architecture."""


class PlacementError(EngineError):
    """No GPU, or not enough memory, for the model; the remedy says what would fit."""


class ContextError(EngineError, ValueError):
    """More tokens than the model takes; the message says how many and what the limit is."""


class ServerError(EngineError):
    """A server could not be reached, refused, or answered what it should not; the message has its address."""


class AnswerLostError(ServerError):
    """The connection was lost in the middle of an answer of which a part was told already."""


class AnswerTimeoutError(EngineError, TimeoutError):
    """An answer was not complete within the seconds it was given."""


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
    bound = f"{value:,}" if isinstance(value, int) else f"{value:g}"
    option = name.replace("_", "-")
    return LimitError(
        f"{problem} {name} = {bound}", source=source, remedy=f"Raise {name} (--{option}) if you trust it"
    )
