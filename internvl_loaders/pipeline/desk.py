"""Pages that workers have drawn, on their way through an engine: so many at once, in any order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Any, TypeAlias

from internvl_llm.media.workers.picture import unpacked
from internvl_loaders.document import AttemptRecord, Page
from internvl_loaders.errors import InternVLError, PageError
from internvl_loaders.pipeline.grounding import Grounding
from internvl_loaders.pipeline.tasks import Tasks
from internvl_loaders.transcribe.answer.blocks import read_answer
from internvl_loaders.transcribe.model.ladder import Transcript
from internvl_loaders.transcribe.model.transcriber import Transcriber

Reply: TypeAlias = tuple[dict[str, Any], bytes]


class Desk:
    """Where one iteration's pages wait for the engine. Closing it cancels what is asked."""

    def __init__(self, transcriber: Transcriber, in_flight: int, max_pixels: int) -> None:
        self.transcriber = transcriber
        self.max_pixels = max_pixels
        self.grounding = Grounding(transcriber.options, transcriber.engine)
        self._engine: Future[Any] | None = None
        self._room = asyncio.Semaphore(in_flight)
        self._tasks = Tasks("internvl-desk")

    def close(self) -> None:
        self._tasks.close()

    def open_engine(self) -> None:
        """Let no page through from now on before an engine that was asked for is open."""
        if self._engine is None and self.transcriber.choice.named:
            self._engine = self._tasks.run(self.transcriber.engine)

    def transcribe(
        self,
        drawing: Future[Reply],
        read_without: Callable[[], Future[Reply]],
        keep: Callable[[Reply], None] | None,
        read_witness: Callable[[Page], Future[Reply]] | None = None,
    ) -> Future[Reply]:
        """The page once read, by the engine where `drawing` brought a picture.

        `read_without` has a worker read the page without a model, `read_witness` has one see its words;
        `keep` sees the reply before anybody else.
        """
        final: Future[Reply] = Future()

        def finish(done: Future[Reply]) -> None:
            if done.cancelled() or done.exception() is not None:
                final.set_exception(CancelledError() if done.cancelled() else done.exception())
                return
            reply = done.result()
            if keep is not None and "error" not in reply[0]:
                keep(reply)
            final.set_result(reply)

        def dispatch(done: Future[Reply]) -> None:
            if done.cancelled() or done.exception() is not None or "picture" not in done.result()[0]:
                finish(done)
            else:
                reply = done.result()
                reading = self._tasks.run(lambda: self._read(reply, read_without, read_witness))
                reading.add_done_callback(finish)

        def enter(opened: Future[Any]) -> None:
            if opened.cancelled() or opened.exception() is not None:
                finish(opened)
            else:
                drawing.add_done_callback(dispatch)

        if self._engine is None:
            drawing.add_done_callback(dispatch)
        else:
            self._engine.add_done_callback(enter)
        return final

    async def _read(
        self,
        reply: Reply,
        read_without: Callable[[], Future[Reply]],
        read_witness: Callable[[Page], Future[Reply]] | None,
    ) -> Reply:
        head, payload = reply
        witness: Future[Reply] | None = None
        try:
            async with self._room:
                page, image = await asyncio.to_thread(self._unpack, head, payload)
                witness = self.grounding.begin(head, page, read_witness)
                page, transcript = await self._transcript(page, image, head)
            del image  # pages that wait for their witness keep it packed
            if transcript.outcome != "none":
                own = page.blocks  # of the file alone, such as comments: no model has read them
                page = _transcribed(page, transcript)
                page = await self.grounding.ground(page, witness, lambda: self._unpack(head, payload)[1])
                page = page.model_copy(update={"blocks": (*page.blocks, *own)})
            else:
                page = await self._stand_in(page, transcript, read_without)
        finally:
            if witness is not None:
                witness.cancel()
        return {"attempts": head.get("attempts", 1)}, page.model_dump_json().encode()

    async def _transcript(self, page: Page, image: Any, head: dict[str, Any]) -> tuple[Page, Transcript]:
        started = time.perf_counter()
        try:
            transcript = await self.transcriber.transcribe(
                image, witness=_letters(head), hard=head.get("hard") is True
            )
        except InternVLError as error:
            if error is self.transcriber.failure and not self.transcriber.choice.named:
                transcript = Transcript("", 0, "none", (f"no engine: {error.message}",))
            else:
                raise
        except Exception as error:  # an engine may fail in any way; it costs this page
            raise PageError(f"the engine failed ({type(error).__name__}: {error})") from error
        spent = round(time.perf_counter() - started, 4)
        timings = dict(page.timings) | {"engine": spent}
        timings["total"] = round(timings.get("total", 0.0) + spent, 4)
        return page.model_copy(update={"timings": timings}), transcript

    def _unpack(self, head: dict[str, Any], payload: bytes) -> tuple[Page, Any]:
        """A page and an image, or PageError: a document may have taken over the worker that sends them."""
        size = head.get("page")
        if not isinstance(size, int):
            raise PageError("what came back from drawing it is no page")
        try:
            page = Page.model_validate_json(payload[:size])
        except ValueError as error:
            raise PageError("what came back from drawing it is no page") from error
        return page, unpacked(head["picture"], payload[size:], self.max_pixels)

    async def _stand_in(
        self, page: Page, transcript: Transcript, read_without: Callable[[], Future[Reply]]
    ) -> Page:
        head, payload = await asyncio.wrap_future(read_without())
        reasons = list(transcript.reasons)
        failure = str(head["error"].get("message")) if "error" in head else ""
        if failure and not transcript.text.strip():
            raise PageError("; ".join([*reasons, f"rapidocr: {failure}"]))
        read = None if failure else Page.model_validate_json(payload)
        has_text = read is not None and any(block.text.strip() for block in read.blocks)
        if read is None or (transcript.text.strip() and not has_text):
            reason = f"rapidocr could not stand in ({failure or 'it sees nothing'})"
            begun = _transcribed(page, transcript, f"{reason}; this is what the model began with")
            return begun.model_copy(update={"blocks": (*begun.blocks, *page.blocks)})
        timings = dict(page.timings)
        for stage, seconds in read.timings.items():
            timings[stage] = round(timings.get(stage, 0.0) + seconds, 4)
        return read.model_copy(
            update={
                "status": "empty" if read.status == "empty" else "fallback",
                "reason": _joined(page.reason, *reasons, f"read by {read.method or 'rapidocr'}", read.reason),
                "attempts": transcript.attempts + read.attempts,
                "history": (*transcript.history, AttemptRecord(what=f"read by {read.method or 'rapidocr'}")),
                "timings": timings,
            }
        )


def _transcribed(page: Page, transcript: Transcript, *more: str) -> Page:
    status = page.status if page.status == "fallback" else "retried" if transcript.attempts > 1 else "ok"
    if transcript.outcome != "whole":
        status = "fallback"  # something is missing, as of a file that is cut off
    read = read_answer(transcript.text)
    return page.model_copy(
        update={
            "blocks": tuple(read.blocks),
            "status": status,
            "reason": _joined(page.reason, *transcript.reasons, *more, *read.notes),
            "attempts": transcript.attempts,
            "history": transcript.history,
        }
    )


def _letters(head: dict[str, Any]) -> int | None:
    """That the page's text layer has, where it has a sound one."""
    count = head.get("letters")
    return count if isinstance(count, int) else None


def _joined(*reasons: str) -> str:
    return "; ".join(filter(None, reasons))
