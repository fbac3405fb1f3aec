from __future__ import annotations

import json
from typing import Any

from internvl_loaders.cli.report import Report
from internvl_loaders.document import Page


def page(number: int, status: Any = "ok", **more: Any) -> Page:
    return Page(source="a.pdf", number=number, status=status, **more)


def test_every_document_and_page_is_told() -> None:
    report = Report(seconds=1.5)
    report.begin("a.pdf")
    report.add(page(1, method="text-layer", timings={"total": 0.25}))
    report.add(page(2, "failed", reason="broken"))
    report.begin("b.pdf")
    report.add(page(0, "failed", reason="no such file"))
    report.begin("c.pdf")
    report.add(page(1, "empty", confidence=0.5))
    told = json.loads(report.to_json())
    assert told["schema"] == "internvl-report/1"
    assert [d["status"] for d in told["documents"]] == ["partial", "failed", "ok"]
    assert told["documents"][0]["reason"] == "1 of 2 pages failed"
    assert told["documents"][1] == {
        "source": "b.pdf", "status": "failed", "reason": "no such file", "pages": []
    }  # fmt: skip
    assert told["documents"][0]["pages"][0] == {
        "number": 1, "status": "ok", "method": "text-layer", "reason": "", "attempts": 1,
        "confidence": None, "seconds": 0.25,
    }  # fmt: skip
    assert told["totals"] == {
        "documents": 3, "pages": 3, "ok": 1, "retried": 0, "fallback": 0, "failed": 1, "empty": 1,
        "seconds": 1.5,
    }  # fmt: skip
    assert report.failed


def test_a_document_of_failed_pages_only_is_failed() -> None:
    report = Report()
    report.begin("a.pdf")
    report.add(page(1, "failed"))
    assert report.documents[0]["status"] == "failed"


def test_retried_fallback_and_empty_pages_are_no_failure() -> None:
    report = Report()
    report.begin("a.pdf")
    for number, status in enumerate(("retried", "fallback", "empty"), 1):
        report.add(page(number, status))
    assert not report.failed
    assert report.documents[0]["status"] == "ok"
