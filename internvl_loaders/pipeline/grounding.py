"""A page that a model read, held against its witness, and what is in dispute read again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeAlias

from internvl_llm.media.limits import MediaOptions
from internvl_llm.messages import Image, Message
from internvl_llm.request import Request, Sampling
from internvl_loaders.document import Page
from internvl_loaders.ground.ask_again import TABLE_PROMPT, Budget, asks, settle, with_checks
from internvl_loaders.ground.page import ground
from internvl_loaders.ground.witness import Witness

if TYPE_CHECKING:
    import PIL.Image

    from internvl_llm.engine import Engine
    from internvl_loaders.options import ParseOptions

Reply: TypeAlias = tuple[dict[str, Any], bytes]

_CROP_TOKENS = 96
"""Of an answer about one token's crop: a line of print."""


class Grounding:
    """Of one iteration's pages."""

    def __init__(self, options: ParseOptions, engine: Callable[[], Awaitable[Engine]]) -> None:
        self.options = options
        self._engine = engine

    def begin(
        self, head: dict[str, Any], page: Page, read: Callable[[Page], Future[Reply]] | None
    ) -> Future[Reply] | None:
        """The witness of a page that was drawn: what came with the drawing, else what `read` has a worker
        see, while the model reads; None where there is to be none."""
        if "witness" in head:
            told: Future[Reply] = Future()
            told.set_result((head, b""))
            return told
        if self.options.witness not in ("auto", "rapidocr") or read is None:
            return None
        return read(page)

    async def ground(
        self, page: Page, reading: Future[Reply] | None, image: Callable[[], PIL.Image.Image]
    ) -> Page:
        """`image` gives the picture that the model was shown."""
        page = await self._against_witness(page, reading)
        crops = self.options.max_crops
        budget = Budget(crops=crops) if crops else Budget(crops=0, words=0, tables=0)
        if not asks(page, budget=budget):
            return with_checks(page)
        started = time.perf_counter()
        page = await settle(page, await asyncio.to_thread(image), self._ask, budget=budget)
        return _timed(page, "asked again", time.perf_counter() - started)

    async def _against_witness(self, page: Page, reading: Future[Reply] | None) -> Page:
        if reading is None:
            return page
        head, _ = await asyncio.wrap_future(reading)
        try:
            if "error" in head:
                raise ValueError(str(head["error"].get("message")))
            witness = Witness.told(head["witness"])
        except (ValueError, LookupError, AttributeError) as error:
            return page.model_copy(update={"reason": _joined(page.reason, f"without a witness ({error})")})
        started = time.perf_counter()
        found = await asyncio.to_thread(ground, page.blocks, witness)
        update: dict[str, object] = {
            "blocks": found.blocks,
            "disputes": (*page.disputes, *found.disputes),
            "findings": (*page.findings, *found.findings),
        }
        seconds = head.get("seconds")
        timings = dict(page.timings)
        if isinstance(seconds, int | float) and seconds:
            timings["witness"] = round(float(seconds), 4)
        page = page.model_copy(update=update | {"timings": timings})
        return _timed(page, "ground", time.perf_counter() - started)

    async def _ask(self, crops: Sequence[tuple[PIL.Image.Image, str]]) -> Sequence[str]:
        engine = await self._engine()
        requests = [
            Request(
                Message.user(Image(crop), prompt),
                Sampling(max_tokens=self.options.max_tokens if prompt == TABLE_PROMPT else _CROP_TOKENS),
                max_tiles=self.options.max_tiles,
                media=MediaOptions(limits=self.options.limits),
            )
            for crop, prompt in crops
        ]
        return [result.text for result in await engine.agenerate(requests)]


def _timed(page: Page, stage: str, seconds: float) -> Page:
    timings = dict(page.timings)
    timings[stage] = round(timings.get(stage, 0.0) + seconds, 4)
    timings["total"] = round(timings.get("total", 0.0) + seconds, 4)
    return page.model_copy(update={"timings": timings})


def _joined(*reasons: str) -> str:
    return "; ".join(filter(None, reasons))
