"""Pages that were read before, by their document, the options, and the engine that may read them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING

from internvl_llm.media.workers.frames import Reply
from internvl_loaders.options import ParseOptions
from internvl_loaders.pipeline.cache import page_key, shared_cache

if TYPE_CHECKING:
    from internvl_loaders.transcribe.model.transcriber import Transcriber


class PageStore:
    """Of one iteration; without a transcriber no model may read its pages. Keeps nothing without a cache."""

    def __init__(self, options: ParseOptions, transcriber: Transcriber | None) -> None:
        self._transcriber = transcriber
        self._settings = options.page_settings()
        self._cache = None
        if options.cache_dir is not None:
            self._cache = shared_cache(options.cache_dir, options.limits.max_cache_bytes)

    def find(self, sha256: str, number: int) -> Future[Reply] | None:
        if self._cache is None or (key := self._key(sha256, number)) is None:
            return None
        page = self._cache.get(key)
        if page is None:
            return None
        future: Future[Reply] = Future()
        future.set_result(({}, page))
        return future

    def keeper(self, sha256: str, number: int) -> Callable[[Reply], None] | None:
        """Keeps the page that a reply holds, if it holds a whole one."""
        cache = self._cache
        if cache is None:
            return None

        def keep(reply: Reply) -> None:
            # The engine may be open by now: the page is kept as read by the engine that did.
            head = reply[0]
            if (
                not head.keys() & {"error", "without", "late"}
                and (key := self._key(sha256, number)) is not None
            ):
                cache.put(key, reply[1])

        return keep

    def _key(self, sha256: str, number: int) -> str | None:
        """None while it cannot be known what reads the page, or where something stands in for the engine."""
        if self._transcriber is None:
            return page_key(sha256, number, self._settings)
        if self._transcriber.failure is not None or self._transcriber.fingerprint is None:
            return None
        return page_key(sha256, number, self._settings | {"engine": self._transcriber.fingerprint})
