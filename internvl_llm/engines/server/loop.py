"""One event loop, on a thread of its own, for all servers that this process asks; and how many requests to a
server it may have at once."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections import deque
from collections.abc import AsyncGenerator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from internvl_llm.media.workers.pool import cores

T = TypeVar("T")


class Loop:
    """Runs until the interpreter ends. `threads` are for what would block it."""

    def __init__(self) -> None:
        self.threads = ThreadPoolExecutor(cores() + 1, thread_name_prefix="internvl-server-images")
        self.limits: WeakValueDictionary[str, Limit] = WeakValueDictionary()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="internvl-server", daemon=True)
        self._thread.start()
        atexit.register(self.stop)

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Future[T]:
        """From any thread; what it returns belongs to the loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)  # type: ignore[return-value]

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Waits for it; not to be called in the loop."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def call(self, function: Any, *arguments: Any) -> None:
        with suppress(RuntimeError):  # the interpreter ends
            self._loop.call_soon_threadsafe(function, *arguments)

    def stop(self) -> None:
        self.call(self._loop.stop)
        self._thread.join(5)
        self.threads.shutdown(wait=False, cancel_futures=True)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        with suppress(RuntimeError):
            while left := asyncio.all_tasks(self._loop):  # one that ends may leave another
                for task in left:
                    task.cancel()
                self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()


_shared: Loop | None = None
_sharing = threading.Lock()


def shared_loop() -> Loop:
    global _shared
    with _sharing:
        if _shared is None:
            _shared = Loop()
        return _shared


def _forget() -> None:
    """A forked child has none of its parent's threads."""
    global _shared, _sharing
    if _shared is not None:
        atexit.unregister(_shared.stop)
    _shared, _sharing = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


class Limit:
    """Places for requests to one server (or several of one model), first come, first served. Belongs to the
    loop. Engines that allow different numbers share the places, and each waits until fewer than its own are
    taken."""

    def __init__(self) -> None:
        self.taken = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def place(self, most: int) -> AsyncGenerator[None, None]:
        if self._waiting or self.taken >= most:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((most, turn))
            self._wake()
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._leave()
                raise
        else:
            self.taken += 1
        try:
            yield
        finally:
            self._leave()

    def _leave(self) -> None:
        self.taken -= 1
        self._wake()

    def _wake(self) -> None:
        still: deque[tuple[int, asyncio.Future[None]]] = deque()
        for most, turn in self._waiting:
            if turn.done():
                continue  # nobody waits any more
            if self.taken < most:
                self.taken += 1
                turn.set_result(None)
            else:
                still.append((most, turn))
        self._waiting = still
