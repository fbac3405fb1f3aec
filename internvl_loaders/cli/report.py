"""The run's report (`--report`): every document and page accounted for."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from internvl_llm.names import encodable, plain_json
from internvl_loaders.document import Page

SCHEMA = "internvl-report/1"


@dataclass(slots=True)
class Report:
    """Filled page by page, in order; keeps no text.

    A document is incomplete from `begin` on until `finish`. Where its output is lost, its pages are.
    """

    documents: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False
    error: str = ""
    """What ended the run before its end."""
    sources: list[str] = field(default_factory=list)
    """Of all documents that there are to read, in order."""
    skipped: dict[str, int] = field(default_factory=dict)
    """How many files of each kind folders and globs held that are no documents."""
    _lost: str = ""
    _open: bool = False

    def begin(self, source: str) -> None:
        self.documents.append({"source": encodable(source), "status": "ok", "reason": "", "pages": []})
        self._lost, self._open = "", True

    def add(self, page: Page) -> None:
        """Count a page to the document begun last; number 0 is the document's own failure."""
        document = self.documents[-1]
        if page.number == 0:
            document["status"], document["reason"] = "failed", page.reason
            return
        document["pages"].append(
            {
                "number": page.number,
                "status": page.status,
                "method": page.method,
                "reason": page.reason,
                "attempts": page.attempts,
                "confidence": page.confidence,
                "seconds": page.timings.get("total", 0.0),
            }
            | ({"disputes": _disputes(page)} if page.disputes else {})
            | ({"findings": [finding.check for finding in page.findings]} if page.findings else {})
        )
        self._judge()

    def note(self, reason: str) -> None:
        """Of the document begun last, whatever its status."""
        document = self.documents[-1]
        document["reason"] = "; ".join(filter(None, [document["reason"], reason]))

    def lose(self, reason: str) -> None:
        """The document begun last has no output, and so none of its pages, those to come too."""
        self._lost = encodable(reason)
        self._judge()

    def finish(self) -> None:
        self._open = False

    def end(self, error: BaseException, *, kept: bool) -> None:
        """The run ends with `error`; pages that were already told are `kept` on standard output."""
        self.interrupted = isinstance(error, KeyboardInterrupt)
        if not self.interrupted:
            self.error = encodable(str(error)) or type(error).__name__
        if not self._open:
            return
        self._open = False
        what = "the run was interrupted" if self.interrupted else "the run ended"
        document = self.documents[-1]
        if not kept:
            self.lose(f"{what} before its output was complete")
        elif document["status"] == "ok":
            document["status"] = "partial" if document["pages"] else "failed"
            self.note(f"{what} after {len(document['pages'])} pages")

    def _judge(self) -> None:
        document = self.documents[-1]
        pages = document["pages"]
        if self._lost:
            for page in pages:
                if page["status"] != "failed":
                    page["status"], page["reason"] = "failed", self._lost
            document["status"], document["reason"] = "failed", self._lost
        elif failed := sum(page["status"] == "failed" for page in pages):
            document["status"] = "failed" if failed == len(pages) else "partial"
            document["reason"] = f"{failed} of {len(pages)} pages failed"

    @property
    def not_reached(self) -> list[str]:
        return [encodable(source) for source in self.sources[len(self.documents) :]]

    @property
    def failed(self) -> bool:
        ended = self.interrupted or self.error or self.not_reached
        return bool(ended) or any(d["status"] != "ok" for d in self.documents)

    def totals(self) -> dict[str, Any]:
        statuses = [p["status"] for d in self.documents for p in d["pages"]]
        counts = {s: statuses.count(s) for s in ("ok", "retried", "fallback", "failed", "empty")}
        in_dispute = [p["disputes"] for d in self.documents for p in d["pages"] if "disputes" in p]
        return {
            "documents": len(self.documents),
            "pages": len(statuses),
            **counts,
            "seconds": round(self.seconds, 3),
        } | ({"disputes": _added(in_dispute)} if in_dispute else {})

    def to_json(self) -> str:
        body = {
            "schema": SCHEMA,
            "documents": self.documents,
            "totals": self.totals(),
            "interrupted": self.interrupted,
            "error": self.error or None,
            "not_reached": self.not_reached,
            "skipped": self.skipped,
        }
        return plain_json(json.dumps(body, ensure_ascii=False, indent=1))


def _disputes(page: Page) -> dict[str, int]:
    """Tokens that two readings of the page differ in, settled ones too, and how many are."""
    words = sum(dispute.kind in ("name", "word") for dispute in page.disputes)
    return {
        "numbers": len(page.disputes) - words,
        "words": words,
        "settled": sum(dispute.settled is not None for dispute in page.disputes),
    }


def _added(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total = {"numbers": 0, "words": 0, "settled": 0}
    for count in counts:
        total = {kind: total[kind] + count[kind] for kind in total}
    return total
