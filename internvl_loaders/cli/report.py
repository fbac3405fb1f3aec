"""The run's report (`--report`): every document and page accounted for."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from internvl_loaders.document import Page

SCHEMA = "internvl-report/1"


@dataclass(slots=True)
class Report:
    """Filled page by page, in order; keeps no text."""

    documents: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0

    def begin(self, source: str) -> None:
        self.documents.append({"source": source, "status": "ok", "reason": "", "pages": []})

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
        )
        failed = sum(p["status"] == "failed" for p in document["pages"])
        if failed:
            whole = failed == len(document["pages"])
            document["status"] = "failed" if whole else "partial"
            document["reason"] = f"{failed} of {len(document['pages'])} pages failed"

    @property
    def failed(self) -> bool:
        return any(d["status"] != "ok" for d in self.documents)

    def totals(self) -> dict[str, Any]:
        statuses = [p["status"] for d in self.documents for p in d["pages"]]
        counts = {s: statuses.count(s) for s in ("ok", "retried", "fallback", "failed", "empty")}
        return {
            "documents": len(self.documents),
            "pages": len(statuses),
            **counts,
            "seconds": round(self.seconds, 3),
        }

    def to_json(self) -> str:
        body = {"schema": SCHEMA, "documents": self.documents, "totals": self.totals()}
        return json.dumps(body, ensure_ascii=False, indent=1)
