"""What comes of a page: from a reply of a worker, which may hold anything, to the page or its placeholder."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from internvl_llm.media.workers.frames import Reply, refused
from internvl_loaders.document import Page
from internvl_loaders.errors import InternVLError, PageError
from internvl_loaders.options import OnError
from internvl_loaders.sources import Source

log = logging.getLogger("internvl_loaders")


@dataclass(slots=True)
class Slot:
    """A page on its way, in its place in the order; number 0 is a document that cannot be opened."""

    source: Source
    number: int
    total: int
    sha256: str
    future: Future[Reply]

    def page(self) -> Page:
        """Raises InternVLError if it cannot be read."""
        with malformed_is_failed():
            head, payload = reply_of(self.future)
            page = Page.model_validate_json(payload)
            place: dict[str, object] = {
                "source": self.source.name,
                "document_id": self.sha256[:16],
                "number": self.number,
                "total_pages": self.total,
            }
            return page.model_copy(update=place | _told(page, head))

    def failed_page(self, error: InternVLError, on_error: OnError | None) -> Page | None:
        """A placeholder, or None if the page is to be skipped. Raises the error if it is to be raised."""
        error.source = self.source.name
        if self.number:
            error.page = self.number
        if on_error == "raise":
            raise error
        if on_error == "skip":
            log.warning("%s", error)
            return None
        attempts = 1 if self.future.exception() else self.future.result()[0].get("attempts", 1)
        return Page(
            source=self.source.name,
            document_id=self.sha256[:16],
            number=self.number,
            label=str(self.number or ""),
            total_pages=self.total,
            status="failed",
            reason=error.explanation,
            attempts=attempts,
        )


def reply_of(future: Future[Reply]) -> Reply:
    """Raises the error that the worker sent."""
    head, payload = future.result()
    if "error" not in head:
        return head, payload
    if head.get("traceback"):
        log.debug("%s", head["traceback"])
    raise refused(head)


@contextmanager
def malformed_is_failed() -> Iterator[None]:
    """A worker that a document has taken over, or a tampered cache, may answer anything."""
    try:
        yield
    except InternVLError:
        raise
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise PageError("what came back from reading it is no page") from error


def _told(page: Page, head: dict[str, Any]) -> dict[str, object]:
    """What a page says of the workers that died before one could read it, and of what it is read without."""
    retries, without = head.get("attempts", 1) - 1, head.get("without", [])
    reasons = [page.reason]
    if retries and not without:
        reasons.append("the process that was to read it died; a fresh one read it")
    for number in without:
        reasons.append(f"read without a look at page {number}, which ends the process or takes too long")
    return {
        "attempts": page.attempts + retries,
        "status": "retried" if retries and page.status == "ok" else page.status,
        "reason": "; ".join(filter(None, reasons)),
    }
