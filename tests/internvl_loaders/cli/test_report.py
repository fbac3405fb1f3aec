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


def test_what_ended_the_run_and_what_it_did_not_come_to_are_told() -> None:
    report = Report(sources=["a.pdf", "b.pdf", "c.pdf", "d.pdf"], skipped={".heic": 3})
    report.begin("a.pdf")
    report.add(page(1))
    report.finish()
    report.begin("b.pdf")
    report.add(page(1))
    report.add(page(2, "empty"))
    report.end(KeyboardInterrupt(), kept=False)
    told = json.loads(report.to_json())
    assert (told["interrupted"], told["error"], told["not_reached"]) == (True, None, ["c.pdf", "d.pdf"])
    assert told["skipped"] == {".heic": 3}
    assert [d["status"] for d in told["documents"]] == ["ok", "failed"]
    assert {p["status"] for p in told["documents"][1]["pages"]} == {"failed"}
    assert "interrupted before its output was complete" in told["documents"][1]["pages"][0]["reason"]
    assert report.failed


def test_pages_on_standard_output_are_told_as_they_are() -> None:
    report = Report(sources=["a.pdf"])
    report.begin("a.pdf")
    report.add(page(1))
    report.end(OSError(28, "No space left on device", "standard output"), kept=True)
    told = json.loads(report.to_json())
    assert "No space left" in told["error"]
    assert (told["interrupted"], told["not_reached"]) == (False, [])
    (document,) = told["documents"]
    assert (document["status"], document["pages"][0]["status"]) == ("partial", "ok")
    assert document["reason"] == "the run ended after 1 pages"
    assert report.failed


def test_pages_of_a_document_without_its_output_are_not_ok() -> None:
    report = Report()
    report.begin("a.pdf")
    report.add(page(1))
    report.add(page(2, "failed", reason="broken"))
    report.lose("its output could not be written: No space left on device")
    report.add(page(3))
    report.finish()
    (document,) = json.loads(report.to_json())["documents"]
    assert document["status"] == "failed"
    assert [p["status"] for p in document["pages"]] == ["failed"] * 3
    assert document["pages"][1]["reason"] == "broken"
    assert "No space left" in document["reason"]
    assert report.totals()["ok"] == 0


def test_a_report_is_json_that_any_reader_takes_and_no_terminal_obeys() -> None:
    report = Report(sources=["a\udcff", "b\x9b\u202e"])
    report.begin("a\udcff\n\x1b")
    text = report.to_json()
    assert not set(text) & set("\x1b\x9b\u202e")
    assert json.loads(text.encode())["documents"][0]["source"] == "a\\udcff\n\x1b"
