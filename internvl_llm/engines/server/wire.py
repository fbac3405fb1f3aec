"""HTTP: what is sent to a server and what comes back, each wait with its time."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

from internvl_llm.engine import EngineSpec
from internvl_llm.engines.server.addresses import Address
from internvl_llm.engines.server.refusals import LONGEST, Asked, Fault, garbage, lost, refusal
from internvl_llm.version import __version__

_WRITE_SECONDS = 60.0
"""For each piece of a request."""
_LONGEST_LINE = 2**24
"""Bytes of one event."""
_LONGEST_ANSWER = 2**26
"""Bytes of an answer that is not streamed."""
_DONE = b"[DONE]"


class Wire:
    """Of one engine; belongs to one event loop."""

    def __init__(self, spec: EngineSpec, model: str, key: str) -> None:
        self.model = model
        self._spec = spec
        self._key = key
        headers = {"User-Agent": f"internvl-documents/{__version__}"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        self._client = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(None, connect=spec.connect_timeout, write=_WRITE_SECONDS),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=spec.concurrency),
        )

    async def close(self) -> None:
        await self._client.aclose()

    def asked(self, address: Address) -> Asked:
        return Asked(address, self.model, self._key)

    async def json(self, address: Address, url: str, body: Any = None) -> Any:
        """Of a short question. Raises Fault."""
        asked = self.asked(address)
        method, content = ("GET", None) if body is None else ("POST", body)
        if content is not None and not isinstance(content, bytes):
            content = json.dumps(content).encode()
        async with self._response(asked, method, url, content) as response:
            text = await self._whole(asked, response, _LONGEST_ANSWER)
            return _parsed(asked, text, response.headers)

    async def chunks(self, address: Address, body: bytes) -> AsyncGenerator[Any, None]:
        """The events of a streamed answer, or its one object where it is not streamed. Raises Fault.

        The first is waited for as long as `first_token_timeout`, each further one `token_timeout`: comments
        that keep a connection open do not count.
        """
        asked = self.asked(address)
        url = f"{address.url}/chat/completions"
        async with self._response(asked, "POST", url, body) as response:
            if not response.headers.get("content-type", "").startswith("text/event-stream"):
                text = await self._whole(asked, response, _LONGEST_ANSWER)
                yield _parsed(asked, text, response.headers)
                return
            events = _events(asked, response)
            wait = self._spec.first_token_timeout
            while True:
                try:
                    async with asyncio.timeout(wait):
                        data = await anext(events, None)
                except TimeoutError:
                    raise _silent(asked, wait) from None
                except httpx.HTTPError as error:
                    raise _lost(asked, error) from error
                if data is None or data == _DONE:
                    return
                yield _loaded(asked, data)
                wait = self._spec.token_timeout

    @asynccontextmanager
    async def _response(
        self, asked: Asked, method: str, url: str, body: bytes | None
    ) -> AsyncIterator[httpx.Response]:
        """One that is a success, closed afterwards whatever happens."""
        headers = {"Content-Type": "application/json"} if body is not None else {}
        request = self._client.build_request(method, url, content=body, headers=headers)
        try:
            async with asyncio.timeout(self._spec.first_token_timeout):
                response = await self._client.send(request, stream=True)
        except TimeoutError:
            raise _silent(asked, self._spec.first_token_timeout) from None
        except httpx.HTTPError as error:
            raise _lost(asked, error) from error
        except (httpx.InvalidURL, UnicodeError, ValueError) as error:
            raise Fault(asked.error(f"is no address ({error})", "Give it as http://HOST:PORT/v1")) from error
        try:
            if not response.is_success:
                text = await self._whole(asked, response, LONGEST)
                raise refusal(asked, response.status_code, response.headers, text)
            yield response
        finally:
            await response.aclose()

    async def _whole(self, asked: Asked, response: httpx.Response, most: int) -> bytes:
        """At most so many bytes of it, and one more."""
        pieces, length = [], 0
        try:
            async with asyncio.timeout(self._spec.first_token_timeout):
                async for piece in response.aiter_bytes():
                    pieces.append(piece)
                    length += len(piece)
                    if length > most:
                        break
        except TimeoutError:
            raise _silent(asked, self._spec.first_token_timeout) from None
        except httpx.HTTPError as error:
            if response.is_success:
                raise _lost(asked, error) from error
        return b"".join(pieces)[: most + 1]


async def _events(asked: Asked, response: httpx.Response) -> AsyncGenerator[bytes, None]:
    """The data of server-sent events, one a line; other fields and comments say nothing here."""
    rest = b""
    async for piece in response.aiter_bytes():
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            name, _, data = line.partition(b":")
            if name == b"data" and data.strip():
                yield data.strip()
            elif name == b"error" or (name.startswith(b"{") and not rest):
                yield line.removeprefix(b"error:").strip()
        if len(rest) > _LONGEST_LINE:
            raise garbage(asked, "an event without end")
    name, _, data = rest.partition(b":")
    if name == b"data" and data.strip():
        yield data.strip()


def _loaded(asked: Asked, data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise garbage(asked, f"no JSON: {asked.said(data[:60].decode('utf-8', 'replace'))}") from error


def _parsed(asked: Asked, text: bytes, headers: Mapping[str, str]) -> Any:
    if len(text) > _LONGEST_ANSWER:
        raise garbage(asked, "an answer without end", again=False)
    if "html" in headers.get("content-type", "") or text.lstrip()[:1] == b"<":
        raise garbage(asked, "a page of HTML", again=False)
    return _loaded(asked, text)


def _silent(asked: Asked, seconds: float) -> Fault:
    fault = lost(asked, f"nothing came for {seconds:g} s")
    fault.error.remedy = "Raise first_token_timeout or token_timeout, or ask for less at once (concurrency)"
    return fault


def _lost(asked: Asked, error: Exception) -> Fault:
    """Certificates and names do not get better by asking again."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            why = f"has a certificate that is not trusted ({cause.verify_message or cause})"
            remedy = "Add its authority to the file or folder of SSL_CERT_FILE, SSL_CERT_DIR"
            return Fault(asked.error(why, remedy), reached=False)
        if isinstance(cause, ssl.SSLError) and "connection" not in str(cause).lower():
            why = f"speaks no TLS ({cause.reason or cause})"
            return Fault(asked.error(why, "Write http:// where it is not served by https"), reached=False)
        cause = cause.__cause__ or cause.__context__
    told = asked.said(str(error) or type(error).__name__)
    if isinstance(error, httpx.ConnectTimeout):
        told = "it does not answer"
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.UnsupportedProtocol):
        remedy = "Check base_url, and that the server runs and has loaded its model"
        return Fault(asked.error(f"cannot be reached ({told})", remedy), again=True, reached=False)
    return lost(asked, told)
