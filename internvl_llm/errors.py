"""The one error hierarchy of both packages."""

from __future__ import annotations


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
        where = self.source or ""
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


class MissingDependencyError(InternVLError, ImportError):
    """An optional package is needed; the remedy names the extra that brings it."""
