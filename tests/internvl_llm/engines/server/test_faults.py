"""What goes wrong between an engine and its server, over real sockets: what is asked again, what is said."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from internvl_llm.engines.server import retries
from internvl_llm.errors import (
    AnswerLostError,
    AnswerTimeoutError,
    ContextError,
    EngineError,
    InternVLError,
    ServerError,
)
from internvl_llm.messages import Image, Message
from internvl_llm.request import Request, Sampling
from tests.kit.engine_contract import eventually
from tests.kit.pictures import gradient
from tests.kit.servers.base import Break, Status
from tests.kit.servers.fake import FakeServer, Script, chunk, usage

HELLO = Request("Hi", Sampling(max_tokens=50))
PAGE = Request(Message.user(Image(gradient()), "Read"))
TEXT = "Twelve words are said here, and none of them is lost on its way."


def first(*faults: Any, text: str = TEXT) -> Script:
    """These one after the other, and then the text."""
    left = iter(faults)
    return lambda body: next(left, text)


def broken(how: str, after: int = 2) -> list[Any]:
    """A stream that ends in the middle."""
    return [*(chunk({"content": f"part {number} "}) for number in range(after)), Break(how)]


AGAIN = {
    "429": Status(429),
    "429 with a time": Status(429, headers={"Retry-After": "0"}),
    "500": Status(500, {"error": {"message": "boom"}}),
    "502 as HTML": Status(502, b"<html><h1>Bad Gateway</h1></html>", type="text/html"),
    "503": Status(503, "no"),
    "reset at once": Break("reset"),
    "closed at once": Break("truncate"),
    "reset": broken("reset"),
    "cut off": broken("truncate"),
    "no finish": broken("end"),
    "garbage": broken("garbage"),
    "an error in the stream": [chunk({"content": "Tw"}), {"error": {"message": "boom", "code": 500}}],
    "no choices": [chunk({"content": "Tw"}), {"hello": 1}],
    "a list": ["[1, 2]"],
    "a choice that is none": [{"choices": [7]}],
    "given up": [chunk({"content": "Tw"}), chunk({}, 0, "abort")],
    "a choice nobody asked for": [chunk({"content": "Tw"}, 5)],
}


@pytest.mark.parametrize("fault", AGAIN)
async def test_what_is_asked_again(opened: Callable[..., Any], fault: str) -> None:
    """Nothing of the answer that was lost stays."""
    for ask in ("generate", "agenerate"):
        with FakeServer(script=first(AGAIN[fault])) as server:
            engine = opened(server)
            found = engine.generate([HELLO]) if ask == "generate" else await engine.agenerate([HELLO])
            assert (found[0].text, found[0].finish_reason) == (TEXT, "stop")
            assert len(server.chats()) == 2


@pytest.mark.parametrize("fault", AGAIN)
def test_a_stream_is_begun_anew_only_while_nothing_was_told(opened: Callable[..., Any], fault: str) -> None:
    told = (
        isinstance(AGAIN[fault], list)
        and fault not in ("a list", "a choice that is none")
        and (fault != "a choice nobody asked for")
    )
    with FakeServer(script=first(AGAIN[fault])) as server:
        stream = opened(server).stream(HELLO)
        if told:
            with pytest.raises(AnswerLostError):
                list(stream)
        else:
            assert "".join(getattr(event, "text", "") for event in stream) == TEXT


@pytest.mark.parametrize("fault", ["429", "500", "reset", "garbage", "no finish"])
def test_it_is_not_asked_for_ever(opened: Callable[..., Any], fault: str) -> None:
    with FakeServer(script=lambda body: AGAIN[fault]) as server:
        with pytest.raises(ServerError) as caught:
            opened(server, max_retries=2).generate([HELLO])
        assert len(server.chats()) == 3
        assert server.url in str(caught.value) and "3 times" in str(caught.value)
        assert caught.value.remedy


def test_none_is_asked_again_where_that_is_said(opened: Callable[..., Any]) -> None:
    with FakeServer(script=lambda body: Status(500)) as server:
        with pytest.raises(ServerError):
            opened(server, max_retries=0).generate([HELLO])
        assert len(server.chats()) == 1


ONCE: dict[str, tuple[Status, type[InternVLError], str]] = {
    "400": (Status(400, {"error": {"message": "bad top_p"}}), ServerError, "refuses the request.*bad top_p"),
    "401": (Status(401, {"error": "who?"}), ServerError, "asks for a key.*INTERNVL_API_KEY"),
    "403": (Status(403, {"detail": "no"}), ServerError, "asks for a key"),
    "404": (Status(404, {"detail": "Not Found"}), ServerError, "no such address.*/v1"),
    "a model": (Status(404, {"message": "The model `x` does not exist"}), ServerError, "does not serve"),
    "408": (Status(408), ServerError, "refuses"),
    "422": (Status(422, {"detail": [{"loc": ["body"], "msg": "field required"}]}), ServerError, "required"),
    "a redirect": (Status(307, b"", {"Location": "http://b/v1"}), ServerError, "sends its callers to http://b"),
    "HTML": (Status(200, b"<!doctype html><p>Welcome", type="text/html"), ServerError, "HTML.*/v1"),
    "no images": (
        Status(400, {"error": {"message": "X is not a multimodal model"}}),
        ServerError,
        "takes no images.*vision part",
    ),
    "too long": (
        Status(400, {"error": {"message": "This model's maximum context length is 10 tokens. However, your "
                               "prompt contains 12 input tokens."}}),
        ContextError,
        "longer than .* takes.*12.*max_tiles",
    ),
    "too long for llama-server": (
        Status(400, {"error": {"message": "request (9412 tokens) exceeds the available context size (8192 "
                               "tokens), try increasing it", "type": "exceed_context_size_error"}}),
        ContextError,
        "9412",
    ),
    "too long for SGLang": (
        Status(400, {"message": "The input (40000 tokens) is longer than the model's context length (32768 "
                     "tokens).", "code": 400}),
        ContextError,
        "40000",
    ),
    "too long for LMDeploy": (
        Status(400, {"message": "Input length (40000) must be smaller than the model context length (32)."}),
        ContextError,
        "40000",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ONCE)
def test_what_is_never_asked_again(opened: Callable[..., Any], case: str) -> None:
    status, kind, words = ONCE[case]
    with FakeServer(script=lambda body: status) as server:
        with pytest.raises(kind, match=words) as caught:
            opened(server).generate([HELLO])
        assert len(server.chats()) == 1
        assert server.url in str(caught.value)


ROOM = {
    "vLLM": "max_tokens=50 cannot be greater than max_model_len=40. Please request fewer output tokens.",
    "vLLM before": "'max_tokens' or 'max_completion_tokens' is too large: 50. This model's maximum context "
    "length is 48 tokens and your request has 8 input tokens (50 > 48 - 8).",
    "SGLang": "Requested token count exceeds the model's maximum context length of 48 tokens. You requested "
    "a total of 58 tokens: 8 tokens from the input messages and 50 tokens for the completion.",
}


@pytest.mark.parametrize("words", ROOM)
def test_an_answer_has_what_the_context_leaves(opened: Callable[..., Any], words: str) -> None:
    with FakeServer(script=first(Status(400, {"error": {"message": ROOM[words]}}))) as server:
        assert opened(server).generate([HELLO])[0].text == TEXT
        assert [body["max_tokens"] for body in server.chats()] == [50, 40]


def test_a_server_says_how_long_to_wait(opened: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    pause = retries.pause

    def paused(failures: int, asked_for: float = 0.0) -> float:
        waited.append(asked_for)
        return pause(failures, 0.0)

    monkeypatch.setattr("internvl_llm.engines.server.asking.pause", paused)
    dated = Status(429, headers={"Retry-After": "Wed, 21 Oct 2065 07:28:00 GMT"})
    script = first(
        Status(429, headers={"Retry-After": "7"}), dated, Status(503, headers={"Retry-After": "soon"})
    )
    with FakeServer(script=script) as server:
        assert opened(server).generate([HELLO])[0].text == TEXT
    assert waited[0] == 7 and waited[1] > 10**8 and waited[2] == 0


def test_pauses_grow_and_differ() -> None:
    pauses = [[retries.pause(failures) for _ in range(20)] for failures in range(1, 12)]
    assert all(len(set(several)) > 10 for several in pauses)
    for failures, several in enumerate(pauses, 1):
        whole = min(retries.LONGEST, retries.FIRST * 2 ** (failures - 1))
        assert all(whole / 2 <= pause <= whole for pause in several)
    assert retries.pause(1, 10**9) <= retries.PATIENCE + 1


# Time.


def test_first_token_timeout(opened: Callable[..., Any]) -> None:
    with FakeServer(script=first(Break("hang"), [chunk({"content": ""}), Break("hang")])) as server:
        engine = opened(server, first_token_timeout=0.2, token_timeout=0.2)
        assert engine.generate([HELLO])[0].text == TEXT
        assert len(server.chats()) == 3
        eventually(lambda: server.gone == 2)


def test_a_server_that_only_says_that_it_lives(opened: Callable[..., Any]) -> None:
    """Comments, by which a connection is held open, are no tokens."""

    def comments() -> Iterator[Any]:
        for _ in range(100):
            yield "\n: alive\n"
            time.sleep(0.02)

    with FakeServer(script=lambda body: comments()) as server:  # type: ignore[arg-type, return-value]
        engine = opened(server, first_token_timeout=0.2, max_retries=0)
        with pytest.raises(ServerError, match=r"nothing came for 0\.2 s.*token_timeout"):
            engine.generate([HELLO])


def test_a_slow_answer_is_waited_for(opened: Callable[..., Any]) -> None:
    with FakeServer(script=TEXT) as server:
        server.seconds = 0.02
        engine = opened(server, first_token_timeout=5, token_timeout=5)
        assert engine.generate([HELLO])[0].text == TEXT


async def test_timeout_of_the_whole(opened: Callable[..., Any]) -> None:
    with FakeServer(script="word " * 1000) as server:
        server.seconds = 0.01
        engine = opened(server)
        request = Request("Hi", timeout=0.3)
        ways: list[Callable[[], Any]] = [
            lambda: engine.generate([request, Request("Ho")]),
            lambda: list(engine.stream(request)),
        ]
        for way in ways:
            with pytest.raises(AnswerTimeoutError, match=r"timeout = 0\.3 s"):
                await asyncio.to_thread(way)
            eventually(lambda: not server.running)
        with pytest.raises(TimeoutError):
            await engine.agenerate([request])
        with pytest.raises(TimeoutError):
            async for _ in engine.astream(request):
                pass
        await asyncio.to_thread(eventually, lambda: not server.running)


# Several addresses.


def test_the_least_busy_is_asked(opened: Callable[..., Any]) -> None:
    with FakeServer(script=TEXT) as one, FakeServer(script=TEXT) as other:
        one.seconds = other.seconds = 0.01
        engine = opened(one, other)
        engine.generate([HELLO] * 10)
        assert len(one.chats()) == len(other.chats()) == 5


def test_one_that_is_killed_is_set_aside(opened: Callable[..., Any]) -> None:
    with FakeServer(script=TEXT) as one:
        other = FakeServer(script=TEXT)
        one.seconds = other.seconds = 0.005
        engine = opened(one, other)
        with ThreadPoolExecutor(1) as thread:
            answers = thread.submit(engine.generate, [HELLO] * 20)
            eventually(lambda: other.running > 3)
            other.close()
            assert [result.text for result in answers.result()] == [TEXT] * 20
        before = len(one.chats())
        assert [result.text for result in engine.generate([HELLO] * 5)] == [TEXT] * 5
        assert len(one.chats()) == before + 5


def test_one_that_is_not_there_yet(opened: Callable[..., Any]) -> None:
    with FakeServer() as one, FakeServer() as other:
        dead = other.url
        other.close()
        engine = opened(dead, one)
        assert engine.generate([HELLO])[0].text == "Hello there"
    with pytest.raises(ServerError, match=r"cannot be reached.*base_url"):
        opened(dead, one.url)


def test_servers_of_different_models(opened: Callable[..., Any]) -> None:
    different = pytest.raises(ServerError, match="serves InternVL3-2B by vLLM, another one InternVL3-8B")
    with FakeServer() as one, FakeServer(model="InternVL3-2B") as other, different:
        opened(one, other)


# At once.


def test_concurrency_is_of_the_process(opened: Callable[..., Any]) -> None:
    with FakeServer(script=TEXT) as server:
        server.seconds = 0.005
        engines = [opened(server, concurrency=3), opened(server, concurrency=3, max_retries=1)]
        with ThreadPoolExecutor(2) as threads:
            for done in [threads.submit(engine.generate, [HELLO] * 8) for engine in engines]:
                done.result()
        assert server.most == 3


def test_a_request_that_waits_for_its_time_holds_no_place(
    opened: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = itertools.count()

    def script(body: Any) -> Any:
        return Status(429, headers={"Retry-After": "1"}) if next(busy) == 0 else TEXT

    with FakeServer(script=script) as server:
        engine = opened(server, concurrency=1)
        started = time.monotonic()
        handle = engine.start(HELLO, lambda *told: None)
        eventually(lambda: len(server.chats()) == 1)
        assert engine.generate([HELLO])[0].text == TEXT
        assert time.monotonic() - started < 1
        handle.cancel()


def test_images_are_drawn_as_they_are_needed(opened: Callable[..., Any]) -> None:
    """Not all at once: requests that wait hold no pictures."""
    with FakeServer(script=lambda body: [Break("hang")]) as server:
        engine = opened(server, concurrency=2)
        handles = [engine.start(PAGE, lambda *told: None) for _ in range(30)]
        eventually(lambda: server.running == 2)
        time.sleep(0.1)
        assert engine._drawn.taken < 10
        for handle in handles:
            handle.cancel()
        eventually(lambda: not server.running and not engine._running)


def test_errors_of_images_are_told(opened: Callable[..., Any]) -> None:
    broken = gradient()
    with FakeServer() as server:
        engine = opened(server)
        request = Request(Message.user(Image(broken), "Read"))
        made = engine._plan(request)
        object.__setattr__(made.images[0].image, "_draw", lambda: 1 / 0)
        with pytest.raises(EngineError, match="ZeroDivisionError"):
            from internvl_llm.engines.answers import Answer

            answer = Answer(request, engine._parser)
            engine._plan = lambda request: made
            answer.begin(engine.start)
            eventually(lambda: answer._done.is_set())
            answer.result()


def test_usage(opened: Callable[..., Any]) -> None:
    said = [chunk({"content": "A"}), chunk({}, 0, "stop"), {"choices": [], "usage": usage(900, 1, 512)}]
    with FakeServer(script=lambda body: said) as server:
        told = opened(server).generate([PAGE])[0].usage
    assert (told.prompt_tokens, told.completion_tokens, told.cached_tokens) == (900, 1, 512)
