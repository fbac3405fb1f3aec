"""InternVL in LlamaIndex by itself: blocks in, responses out, errors. Engines are scripted, or tiny with
random weights where it says so."""

from __future__ import annotations

import asyncio
import base64
import inspect
import io
import pickle
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
from blockbuster import blockbuster_ctx

pytest.importorskip("llama_index.core")

from llama_index.core.base.llms.types import (
    AudioBlock,
    CacheControl,
    CachePoint,
    ChatMessage,
    ChatResponse,
    CitableBlock,
    DocumentBlock,
    ImageBlock,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    VideoBlock,
)
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.tools import FunctionTool

from internvl_llm.engines.open import open_engine
from internvl_llm.engines.transformers.engine import TransformersEngine
from internvl_llm.errors import (
    CheckpointError,
    ContextError,
    EngineError,
    MediaError,
    MessageError,
    OptionError,
)
from internvl_llm.events import Finish, TextDelta, TokenLogprob, ToolCallDelta, Usage
from internvl_llm.llama_index import InternVL
from internvl_llm.llama_index.messages import to_messages, to_tool, tool_calls
from internvl_llm.llama_index.responses import Answer, partial_json
from internvl_llm.media.limits import MediaOptions
from internvl_llm.messages import Document, Image, MediaFile, Text, ToolCall, ToolResult, Video
from internvl_llm.prompt.chatml import DEFAULT_SYSTEM
from tests.kit.checkpoints import built
from tests.kit.scripted import USAGE, ScriptedEngine, says


def png(colour: str = "red", size: tuple[int, int] = (40, 30)) -> bytes:
    held = io.BytesIO()
    PIL.Image.new("RGB", size, colour).save(held, "PNG")
    return held.getvalue()


def user(*blocks: Any) -> ChatMessage:
    return ChatMessage(role="user", blocks=[TextBlock(text=b) if isinstance(b, str) else b for b in blocks])


def scripted(*answers: Any, **fields: Any) -> InternVL:
    return InternVL(engine=ScriptedEngine(answers), **fields)


def asked(llm: InternVL) -> Any:
    return llm.engine.requests[-1]


def weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


TOOL = FunctionTool.from_defaults(weather)
HELLO = [ChatMessage(role="user", content="Hello")]


@pytest.fixture(scope="module")
def tiny() -> Iterator[InternVL]:
    engine = open_engine(built("tiny"), dtype="float32", max_batch=7)
    yield InternVL(engine=engine, max_tokens=8)
    engine.close()


def test_grounding() -> None:
    asked = ChatMessage("<ref>a</ref>", additional_kwargs={"grounding": True})
    told = ChatMessage("<ref>a</ref>", role="tool", additional_kwargs={"grounding": True})
    user, tool = to_messages([asked, told])
    assert user.parts == (Text("<ref>a</ref>", grounding=True),)
    assert isinstance(tool.parts[0], ToolResult) and tool.parts[0].parts == (Text("<ref>a</ref>"),)


def test_blocks(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png())
    data = "data:image/png;base64," + base64.b64encode(png()).decode()
    (message,) = to_messages(
        [
            user(
                "Look",
                ImageBlock(image=png()),
                ImageBlock(image=io.BytesIO(png())),
                ImageBlock(path=tmp_path / "a.png", detail="low"),
                ImageBlock(url=data),
                ImageBlock(url="https://example.com/a.png"),
                DocumentBlock(data=b"%PDF-1.4 ..."),
                DocumentBlock(path=str(tmp_path / "a.png")),
                VideoBlock(video=b"\x00\x01 a video"),
            )
        ],
        MediaOptions(media_root=tmp_path),
    )
    assert message.parts == (
        Text("Look"),
        Image(png()),
        Image(png()),
        Image(MediaFile(str(tmp_path / "a.png")), max_tiles=1),
        Image(data),
        Image("https://example.com/a.png"),
        Document(b"%PDF-1.4 ..."),
        Document(MediaFile(str(tmp_path / "a.png"))),
        Video(b"\x00\x01 a video"),
    )


def test_roles_and_calls() -> None:
    call = ToolCallBlock(tool_call_id="c1", tool_name="weather", tool_kwargs='{"city": "Bern"}')
    foreign = {
        "id": "c2",
        "type": "function",
        "function": {"name": "weather", "arguments": '{"city": "Ulm"}'},
    }
    messages = to_messages(
        [
            ChatMessage(role="developer", content="Be brief"),
            user("Weather?"),
            ChatMessage(role="assistant", blocks=[TextBlock(text="Well"), call]),
            ChatMessage(
                role="tool", blocks=[ImageBlock(image=png())], additional_kwargs={"tool_call_id": "c1"}
            ),
            ChatMessage(role="chatbot", blocks=[], additional_kwargs={"tool_calls": [foreign]}),
            ChatMessage(role="function", content="rain", additional_kwargs={"tool_call_id": "c2"}),
        ]
    )
    assert [m.role for m in messages] == ["system", "user", "assistant", "tool", "assistant", "tool"]
    assert messages[2].parts == (Text("Well"), ToolCall("c1", "weather", {"city": "Bern"}))
    assert messages[3].parts == (ToolResult("c1", "weather", (Image(png()),)),)
    assert messages[4].parts == (ToolCall("c2", "weather", {"city": "Ulm"}),)
    assert messages[5].parts == (ToolResult("c2", "weather", (Text("rain"),)),)


@pytest.mark.parametrize(
    ("block", "said"),
    [
        (AudioBlock(audio=b"RIFF"), "AudioBlock.*transcript"),
        (ThinkingBlock(content="hm"), "ThinkingBlock.*Leave it out"),
        (CachePoint(cache_control=CacheControl(type="ephemeral")), "CachePoint.*Leave it out"),
        (CitableBlock(title="t", source="s", content="c"), "CitableBlock.*blocks of their own"),
        (ImageBlock(url="file:///etc/passwd"), "file:///etc/passwd.*data: or http"),
        (ImageBlock(path=__file__), "media_root"),
        (DocumentBlock(path="http:/x"), "media_root"),
        (ImageBlock(url="ftp://host/a.png"), "ftp.*data: or http"),
        (DocumentBlock(url="/etc/passwd"), "/etc/passwd.*data: or http"),
        (ImageBlock(), "ImageBlock is empty"),
        (ImageBlock(image=png(), detail="best"), "unknown detail 'best'"),
        (VideoBlock(video=b"\x00", fps=2), "fps=2.*Leave fps out"),
        (ToolCallBlock(tool_name="f", tool_kwargs="{not json"), "arguments of the call of f"),
    ],
)
def test_blocks_that_cannot_be_shown(block: Any, said: str) -> None:
    with pytest.raises(MessageError, match=said):
        scripted().chat([user("Look", block)])


async def test_bad_input(tiny: InternVL) -> None:
    llm = scripted()
    wrong: list[tuple[type[Exception], str, Any]] = [
        (MessageError, "empty", lambda: llm.chat([])),
        (MessageError, "empty", lambda: llm.complete("")),
        (
            OptionError,
            "no such option of a call: temprature.*temperature",
            lambda: llm.chat(HELLO, temprature=1),
        ),
        (OptionError, "temperature cannot be -1", lambda: llm.stream_chat(HELLO, temperature=-1)),
        (OptionError, "'rain' is none of the tools.*weather", lambda: tools_of(llm, tool_choice="rain")),
        (OptionError, "names no function", lambda: tools_of(llm, tool_choice={"type": "function"})),
        (OptionError, "any without tools", lambda: llm.chat_with_tools([], "Hi", tool_required=True)),
        (OptionError, "two tools", lambda: llm.chat_with_tools([TOOL, TOOL], "Hi")),
        (OptionError, "no such option: temprature", lambda: InternVL("8B", temprature=1)),
        (OptionError, "max_tokens cannot be 0", lambda: InternVL("8B", max_tokens=0)),
        (OptionError, "no model", lambda: InternVL()),
        (OptionError, "no such engine option", lambda: InternVL("8B", engine_options={"gpu": 1}).chat(HELLO)),
        (OptionError, "InternVL3-8B", lambda: InternVL("InternVL3-8").metadata),
        (CheckpointError, "no such folder", lambda: InternVL("/nowhere/at/all").chat(HELLO)),
        (ContextError, "takes 32,768", lambda: tiny.complete("word " * 40_000)),
        (MediaError, "image", lambda: tiny.chat([user("Look", ImageBlock(image=b"\x89PNG nothing"))])),
    ]
    for kind, said, call in wrong:
        with pytest.raises(kind, match=f"(?s){said}"):
            call()
    for kind, said, call in (
        (MessageError, "empty", llm.achat([])),
        (OptionError, "temprature", llm.astream_chat(HELLO, temprature=1)),
        (ContextError, "takes 32,768", tiny.acomplete("word " * 40_000)),
    ):
        with pytest.raises(kind, match=said):
            await call


def tools_of(llm: InternVL, **choice: Any) -> Any:
    return llm.chat_with_tools([TOOL], "Hi", **choice)


def test_what_is_asked() -> None:
    llm = scripted(*[says("yes")] * 5, temperature=0.5, max_tiles=3, stop="END")
    assert (llm.stop, asked_by(llm).sampling.stop) == (["END"], ("END",))
    assert asked(llm).system == DEFAULT_SYSTEM
    assert (asked(llm).max_tiles, asked(llm).sampling.temperature) == (3, 0.5)
    llm.chat(HELLO, max_tokens=3, temperature=0.0, stop=["A"], page=True, system="Be brief", max_tiles=2)
    assert (asked(llm).sampling.max_tokens, asked(llm).sampling.temperature) == (3, 0.0)
    assert (asked(llm).sampling.stop, asked(llm).page, asked(llm).max_tiles) == (("A",), True, 2)
    assert asked(llm).system == "Be brief"
    llm.system_prompt = "Be kind"
    llm.complete("Hello")
    assert asked(llm).system == "Be kind"
    history = list(HELLO)
    llm.chat_with_tools([TOOL], "And?", chat_history=history, tool_required=True)
    assert (history, len(asked(llm).messages)) == (HELLO, 2)
    (tool,) = asked(llm).tools
    assert (tool.name, tool.description) == ("weather", TOOL.metadata.description)
    assert tool.parameters["properties"]["city"]["type"] == "string"
    assert (asked(llm).tool_choice, asked(llm).parallel_tool_calls) == ("any", False)
    llm.chat_with_tools([TOOL], "And?", tool_choice="weather", allow_parallel_tool_calls=True)
    assert (asked(llm).tool_choice, asked(llm).parallel_tool_calls) == ("weather", True)


def asked_by(llm: InternVL) -> Any:
    llm.chat(HELLO)
    return asked(llm)


def test_tool_choices() -> None:
    def choice(**options: Any) -> Any:
        return scripted()._prepare_chat_with_tools([TOOL], "Hi", **options)["tool_choice"]

    assert choice(tool_required=True) == choice(tool_required=True, tool_choice="auto") == "any"
    assert choice(tool_required=True, tool_choice="weather") == "weather"
    assert choice(tool_choice={"type": "function", "function": {"name": "weather"}}) == "weather"
    assert choice(tool_choice="required") == "any"
    long = FunctionTool.from_defaults(weather, name="odd name[int]", description="x" * 2000)
    assert (to_tool(long).name, len(to_tool(long).description)) == ("odd name[int]", 2000)


def test_responses() -> None:
    answer = Answer("m")
    events = says("Let me see.", ("weather", {"city": "Bern", "days": [1, 2]}), ("weather", {"city": "Ulm"}))
    responses = [answer.take(event).response(event) for event in events]
    last = responses[-1]
    assert last.message.content == "Let me see." == "".join(r.delta or "" for r in responses)
    first, second = last.message.blocks[1:]
    assert first.tool_kwargs == {"city": "Bern", "days": [1, 2]}
    assert (first.tool_call_id, second.tool_call_id) == ("call-weather-0", "call-weather-1")
    beside = last.message.additional_kwargs["tool_calls"]
    assert beside[1]["function"] == {"name": "weather", "arguments": '{"city": "Ulm"}'}
    foreign = ChatMessage(role="assistant", additional_kwargs={"tool_calls": beside})
    assert tool_calls(foreign) == tool_calls(last.message)
    grown = [r.message.blocks[1].tool_kwargs for r in responses if len(r.message.blocks) == 2]
    assert grown[2:4] == [{"city": ""}, {"city": "Bern"}]
    assert [r.raw for r in responses[:-1]] == [None] * (len(responses) - 1)
    assert last.raw["usage"]["prompt_tokens"] == USAGE.prompt_tokens
    assert last.raw["finish_reason"] == last.additional_kwargs["finish_reason"] == "tool_calls"
    again = to_messages([last.message])[0].parts
    assert again[1] == ToolCall("call-weather-0", "weather", {"city": "Bern", "days": [1, 2]})


@pytest.mark.parametrize("text", ["", "{", '{"a', "[1", "nothing", '{"a": NaN', "{" * 5000])
def test_partial_json_of_nothing(text: str) -> None:
    assert partial_json(text) == {}


def test_a_call_that_was_cut_off_is_no_call() -> None:
    cut = [ToolCallDelta(0, "c", "weather", '{"city": "Be'), Finish("length", USAGE)]
    llm = scripted(cut, cut)
    response = llm.chat_with_tools([TOOL], "Weather?")
    assert not any(isinstance(block, ToolCallBlock) for block in response.message.blocks)
    with pytest.raises(EngineError, match=r"weather ended in the middle.*max_tokens"):
        llm.get_tool_calls_from_response(response, error_on_no_tool_call=False)


def test_no_call() -> None:
    llm = scripted(says("No"))
    response = llm.chat_with_tools([TOOL], "Weather?")
    assert llm.get_tool_calls_from_response(response, error_on_no_tool_call=False) == []
    with pytest.raises(ValueError, match="calls no tool"):
        llm.get_tool_calls_from_response(response)


def test_logprobs() -> None:
    told = TokenLogprob("yes", -0.1, (("yes", -0.1), ("no", -2.0)))
    response = scripted([TextDelta("yes", (told,)), Finish("stop", USAGE)]).chat(HELLO, logprobs=2)
    assert response.logprobs is not None
    assert [(p.token, p.logprob) for p in response.logprobs[0]] == [("yes", -0.1), ("no", -2.0)]


def test_usage_is_counted_once() -> None:
    counter = TokenCountingHandler(tokenizer=str.split)
    llm = scripted(*[says("one two")] * 4, callback_manager=CallbackManager([counter]))
    llm.chat(HELLO)
    llm.complete("Hello")
    list(llm.stream_chat(HELLO))
    list(llm.stream_complete("Hello"))
    told = [(e.prompt_token_count, e.completion_token_count) for e in counter.llm_token_counts]
    assert told == [(USAGE.prompt_tokens, USAGE.completion_tokens)] * 4


def test_several_answers(tiny: InternVL) -> None:
    """Random weights."""

    class Longest:
        def scores(self, messages: Any, answers: Any) -> list[float]:
            return [float(len(answer)) for answer in answers]

    warm = {"n": 4, "critic": Longest(), "temperature": 1.5, "seed": 3}
    one = tiny.complete("Hello there", temperature=1.5, seed=3)
    best = tiny.complete("Hello there", **warm)
    assert len(best.text) >= len(one.text)
    assert [r.text for r in tiny.stream_complete("Hello there", **warm)][-1] == best.text
    assert best.raw["usage"]["completion_tokens"] > one.raw["usage"]["completion_tokens"]


def test_metadata_without_weights(tmp_path: Path) -> None:
    begun = time.perf_counter()
    llm = InternVL("OpenGVLab/InternVL3-8B", max_tokens=77)
    assert time.perf_counter() - begun < 0.05
    known = llm.metadata
    assert (known.context_window, known.num_output) == (32_768, 77)
    assert known.model_name == "OpenGVLab/InternVL3-8B"
    assert known.is_chat_model and known.is_function_calling_model
    assert InternVL("8B", context_window=4096).metadata.context_window == 4096
    assert not InternVL("InternVL3.5-GPT-OSS-20B-A4B-Preview").metadata.is_function_calling_model
    assert InternVL(built("tiny")).metadata.context_window == 32_768
    (tmp_path / "config.json").write_text('{"llm_config": {"max_position_embeddings": 555}}')
    assert InternVL(tmp_path).metadata.context_window == 555


def test_serialisation() -> None:
    llm = InternVL("8B", temperature=0.3, engine_options={"max_batch": 3}, system_prompt="Be brief")
    told = llm.to_dict()
    assert (told["class_name"], told["engine"]) == ("InternVL", "transformers")
    assert InternVL.from_dict(told).to_dict() == told
    assert InternVL.from_json(llm.to_json()).temperature == 0.3
    assert pickle.loads(pickle.dumps(llm)).to_dict() == told
    assert "scripted" not in scripted().to_json().replace("scripted-1B", "")


def test_signatures() -> None:
    assert issubclass(InternVL, FunctionCallingLLM)
    assert "BaseLLM" in [base.__name__ for base in InternVL.__mro__]
    public = {name for name, held in inspect.getmembers(InternVL, inspect.isfunction) if name[0] != "_"}
    both = (
        "chat",
        "complete",
        "stream_chat",
        "stream_complete",
        "chat_with_tools",
        "count_tokens",
        "predict",
    )
    more = ("stream_chat_with_tools", "structured_predict", "stream_structured_predict", "predict_and_call")
    for name in (*both, *more):
        assert {name, f"a{name}"} <= public


async def answers(llm: InternVL, **kwargs: Any) -> tuple[list[ChatResponse], list[str], list[str], list[str]]:
    """Of chat; of complete; of the streams of chat; of the streams of complete: sync, then async."""
    chat = [llm.chat(HELLO, **kwargs), await llm.achat(HELLO, **kwargs)]
    complete = [llm.complete("Hello", **kwargs).text, (await llm.acomplete("Hello", **kwargs)).text]
    streams = [
        "".join(r.delta or "" for r in llm.stream_chat(HELLO, **kwargs)),
        "".join([r.delta or "" async for r in await llm.astream_chat(HELLO, **kwargs)]),
    ]
    completions = [
        "".join(r.delta or "" for r in llm.stream_complete("Hello", **kwargs)),
        "".join([r.delta or "" async for r in await llm.astream_complete("Hello", **kwargs)]),
    ]
    return chat, complete, streams, completions


async def test_every_way_to_ask_says_the_same(tiny: InternVL) -> None:
    """Random weights, greedy, float32."""
    chat, *others = await answers(tiny)
    assert chat[0].message == chat[1].message
    assert chat[0].raw["usage"]["completion_tokens"] == chat[1].raw["usage"]["completion_tokens"] == 8
    said = {text for texts in others for text in texts}
    assert said == {chat[0].message.content}
    counted = tiny.count_tokens(HELLO)
    assert counted == await tiny.acount_tokens(HELLO) == chat[0].raw["usage"]["prompt_tokens"]


async def test_tools_sync_and_async() -> None:
    call = says("", ("weather", {"city": "Bern"}))
    llm = scripted(*[call] * 6)
    given = {"tools": [TOOL], "user_msg": "Weather?"}
    found = [llm.chat_with_tools(**given), await llm.achat_with_tools(**given)]
    found += [list(llm.stream_chat_with_tools(**given))[-1]]
    found += [[r async for r in await llm.astream_chat_with_tools(**given)][-1]]
    selections = [llm.get_tool_calls_from_response(response) for response in found]
    assert all(one == selections[0] for one in selections)
    assert (selections[0][0].tool_name, selections[0][0].tool_kwargs) == ("weather", {"city": "Bern"})
    results = [llm.predict_and_call(**given), await llm.apredict_and_call(**given)]
    assert [str(result) for result in results] == ["sunny in Bern"] * 2


async def test_the_loop_is_never_blocked(tiny: InternVL) -> None:
    """Random weights: the image is read, cut and shown, the answer streamed."""
    look = [user(ImageBlock(image=io.BytesIO(png())), "What?")]
    assert tiny.metadata.is_chat_model  # opens the engine, which LlamaIndex would do within achat
    with blockbuster_ctx():
        await tiny.achat(look)
        await tiny.acomplete("Hello")
        async for _ in await tiny.astream_chat(look):
            pass
        async for _ in await tiny.astream_complete("Hello"):
            pass
        await tiny.acount_tokens(look)
        await tiny.achat(HELLO, n=2, temperature=1.0)
        await tiny.achat_with_tools([TOOL], "Hello")
        async for _ in await tiny.astream_chat_with_tools([TOOL], "Hello"):
            pass


async def test_opening_does_not_block_the_loop() -> None:
    llm = InternVL(built("tiny"), max_tokens=2, engine_options={"dtype": "float32", "max_batch": 9})
    with blockbuster_ctx():
        response = await llm.achat(HELLO)
    assert response.raw["usage"]["completion_tokens"] <= 2
    open_engine(built("tiny"), dtype="float32", max_batch=9).close()


def eventually_idle(llm: InternVL) -> None:
    engine = llm.engine
    assert isinstance(engine, TransformersEngine)
    deadline = time.monotonic() + 10
    while engine._cores[0].scheduler.running:
        assert time.monotonic() < deadline
        time.sleep(0.01)


async def test_leaving_a_stream_frees_its_place(tiny: InternVL) -> None:
    stream = tiny.stream_chat(HELLO, max_tokens=30_000)
    next(stream)
    assert tiny.engine._cores[0].scheduler.running
    stream.close()
    del stream
    eventually_idle(tiny)
    astream = await tiny.astream_chat(HELLO, max_tokens=30_000)
    await anext(astream)
    assert tiny.engine._cores[0].scheduler.running
    await astream.aclose()
    del astream
    await asyncio.sleep(0.05)
    await asyncio.to_thread(eventually_idle, tiny)


async def test_cancelling_frees_the_place(tiny: InternVL) -> None:
    for endless in (tiny.achat(HELLO, max_tokens=30_000), tiny.acomplete("Hello", max_tokens=30_000)):
        task = asyncio.create_task(endless)
        while not tiny.engine._cores[0].scheduler.running:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(eventually_idle, tiny)


async def test_callers_are_batched(tiny: InternVL) -> None:
    alone = tiny.complete("Hello").text
    together = await asyncio.gather(*(tiny.acomplete("Hello") for _ in range(6)))
    assert {one.text for one in together} == {alone}


def test_a_response_of_nothing() -> None:
    response = scripted([Finish("stop", Usage(3, 0))]).chat(HELLO)
    assert (response.message.content, response.raw["usage"]["total_tokens"]) == ("", 3)
