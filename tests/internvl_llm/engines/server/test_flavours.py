"""What each kind of server is found to be, and asked: recorded by a real one that answers in its words."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from internvl_llm.engines.server.flavours import FLAVOURS
from internvl_llm.errors import GrammarError, InternVLError, MessageError, OptionError, ServerError
from internvl_llm.grammar import Choice, Exactly, Grammar, JsonObject, JsonSchema, Regex
from internvl_llm.messages import Combined, Image, Message, Text, ToolCall, ToolResult
from internvl_llm.request import Request, Sampling
from internvl_llm.tools import Tool
from tests.kit.pictures import gradient
from tests.kit.servers.base import Status
from tests.kit.servers.fake import KINDS, FakeServer, Kind, chunk

Open = Callable[..., Any]
CITY = {"type": "object", "properties": {"city": {"enum": ["Bern", "Ulm"]}}, "required": ["city"]}
WEATHER = Tool("weather", "Of a city.", CITY)
CLOCK = Tool("clock", "The time.", {"type": "object", "properties": {}})
CALL = '{"name": "weather", "arguments": {"city": "Bern"}}'
CLOSED = {**CITY, "additionalProperties": False}


def asked(opened: Open, kind: Kind, request: Request, said: Any = "{}", **options: Any) -> Any:
    """The body it becomes, and what comes of the answer."""
    with FakeServer(kind, lambda body: said) as server:
        model = "" if kind != "ollama" else "InternVL3-8B"
        [result] = opened(server, model=model, **options).generate([request])
        return server.chats()[-1], result


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_server_is(opened: Open, kind: Kind) -> None:
    with FakeServer(kind, context=20_000) as server:
        engine = opened(server, model="8B" if kind == "ollama" else "")
        names = {"llama": "llama-server b1-abc", "lmdeploy": "LMDeploy", "vllm": "vLLM 0.32.0"}
        names |= {
            "sglang": "SGLang 0.5.23",
            "ollama": "Ollama 0.13.0",
            "other": "an OpenAI-compatible server",
        }
        details = dict(engine.capabilities.details)
        assert details["server"] == names[kind]
        told = kind not in ("lmdeploy", "other")
        assert engine.capabilities.context_tokens == (20_000 if told else 32_768)
        assert ("does not say" in details["context"]) != told
        assert (engine.capabilities.model, engine.capabilities.dialect) == ("InternVL3-8B", "hermes")
        assert engine.generate([Request("Hi")])[0].text == "Hello there"


def test_every_flavour_is_tried() -> None:
    assert len(FLAVOURS) + 1 == len(KINDS)


SAMPLED = Sampling(40, 0.5, top_k=7, repetition_penalty=1.25, seed=3, stop=("END",), logprobs=2, top_p=0.9)
PLAIN = {"max_tokens": 40, "temperature": 0.5, "top_p": 0.9, "seed": 3, "logprobs": True, "top_logprobs": 2}
TOKENS = {"top_k": 7, "repetition_penalty": 1.25, "min_p": 0.0, "skip_special_tokens": False}
OURS: dict[Kind, dict[str, Any]] = {
    "vllm": TOKENS | {"stop": ["END"]},
    "sglang": TOKENS | {"stop": ["END"]},
    "lmdeploy": TOKENS,
    "llama": {"top_k": 7, "repeat_penalty": 1.25, "min_p": 0.0, "stop": ["END"]},
}


@pytest.mark.parametrize("kind", OURS)
def test_sampling(opened: Open, kind: Kind) -> None:
    with FakeServer(kind, "Well, the END is near") as server:
        [result] = opened(server).generate([Request("Hi", SAMPLED)])
        body = server.chats()[-1]
    rest = {name: value for name, value in body.items() if name not in ("model", "messages", "stream")}
    assert rest.pop("stream_options") == {"include_usage": True}
    assert rest == PLAIN | OURS[kind]
    assert (result.text, result.finish_reason) == ("Well, the ", "stop")


@pytest.mark.parametrize("kind", ["ollama", "other"])
def test_sampling_that_a_server_has_not(opened: Open, kind: Kind) -> None:
    with FakeServer(kind) as server:
        engine = opened(server, model="8B")
        for sampling in (Sampling(top_k=3), Sampling(repetition_penalty=1.1)):
            with pytest.raises(OptionError, match="cannot be asked for a"):
                engine.generate([Request("Hi", sampling)])
        assert server.chats() == []
        assert not engine.capabilities.repetition_penalty


def test_the_defaults_are_said_too(opened: Open) -> None:
    """A server has others, of its own or of the checkpoint's generation_config.json."""
    body, _ = asked(opened, "sglang", Request("Hi"))
    assert (body["temperature"], body["top_p"], body["top_k"], body["repetition_penalty"]) == (0, 1, -1, 1)


@pytest.mark.parametrize(("kind", "bodies"), [("vllm", 1), ("sglang", 1), ("lmdeploy", 1), ("llama", 3)])
def test_several_samples(opened: Open, kind: Kind, bodies: int) -> None:
    request = Request("Hi", Sampling(temperature=1.0, seed=5), n=3)
    with FakeServer(kind, "Hello there") as server:
        [result] = opened(server).generate([request])
        told = server.chats()
    assert [sample.text for sample in result.samples] == ["Hello there"] * 3
    assert result.usage.completion_tokens == 9
    assert len(told) == bodies
    assert sorted(body["seed"] for body in told) == ([5] if bodies == 1 else [5, 6, 7])
    assert {body.get("n") for body in told} == ({3} if bodies == 1 else {None})


def schema(value: Any) -> dict[str, Any]:
    described = {"name": "answer", "schema": value, "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": described}}


FORMS: dict[str, tuple[Grammar, dict[Kind, dict[str, Any]]]] = {
    "a schema": (JsonSchema(CITY), dict.fromkeys(KINDS, schema(CLOSED))),
    "an object": (JsonObject(), {kind: {"response_format": {"type": "json_object"}} for kind in KINDS}),
    "a regex": (
        Regex("[ab]+"),
        {
            "vllm": {"structured_outputs": {"regex": "[ab]+"}},
            "sglang": {"regex": "[ab]+"},
            "lmdeploy": {"response_format": {"type": "regex_schema", "regex_schema": "[ab]+"}},
        },
    ),
    "a choice": (
        Choice(("a.b", 'c"')),
        {
            "vllm": {"structured_outputs": {"choice": ["a.b", 'c"']}},
            "sglang": {"regex": 'a\\.b|c"'},
            "lmdeploy": {"response_format": {"type": "regex_schema", "regex_schema": 'a\\.b|c"'}},
            "llama": {"grammar": 'root ::= "a.b" | "c\\""'},
        },
    ),
    "an exact answer": (Exactly("yes"), {}),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_forms_of_answers(opened: Open, kind: Kind, form: str) -> None:
    grammar, bodies = FORMS[form]
    request = Request("Hi", grammar=grammar)
    if kind in bodies:
        said = '{"code": 7351}'  # what keeps an unknown server's word
        body, _ = asked(opened, kind, request, said)
        for name, value in bodies[kind].items():
            assert body[name] == value
        return
    with FakeServer(kind) as server:
        with pytest.raises((OptionError, GrammarError)) as caught:
            opened(server, model="8B").generate([request])
        assert caught.value.remedy
        assert server.chats() == []


def test_an_unknown_server_has_to_keep_its_word(opened: Open) -> None:
    with FakeServer("other", "Hello, how are you?") as server:
        engine = opened(server)
        for _ in range(2):
            with pytest.raises(ServerError, match=r"does not keep to the form.*response_format"):
                engine.generate([Request("Hi", grammar=JsonSchema(CITY))])
        assert len(server.chats()) == 1
        assert engine.generate([Request("Hi")])[0].text == "Hello, how are you?"


@pytest.mark.parametrize(
    "refused", [JsonSchema({"not": {}}), JsonSchema({"type": "array", "uniqueItems": True}), Regex("a")]
)
def test_what_no_grammar_follows_is_refused_before_anything_is_sent(opened: Open, refused: Any) -> None:
    with FakeServer("llama") as server:
        with pytest.raises(OptionError):
            opened(server).generate([Request("Hi", grammar=refused)])
        assert server.chats() == []


# Calls.


def begin(name: str) -> str:
    return f'<tool_call>\n{{"name": "{name}", "arguments": '


TAGS = [
    {"type": "tag", "begin": begin(name), "end": "}\n</tool_call>",
     "content": {"type": "json_schema", "json_schema": schema, "max_whitespace_cnt": 1}}
    for name, schema in (("weather", CLOSED), ("clock", CLOCK.parameters | {"additionalProperties": False}))
]  # fmt: skip
TEXT = f"Let me see.\n<tool_call>\n{CALL}\n</tool_call>"


def calls(choice: str, **more: Any) -> Request:
    return Request("Hi", tools=[WEATHER, CLOCK], tool_choice=choice, **more)


@pytest.mark.parametrize("kind", ["vllm", "sglang"])
def test_calls_by_structural_tags(opened: Open, kind: Kind) -> None:
    body, result = asked(opened, kind, calls("auto"), [chunk({"content": TEXT}), chunk({}, 0, "stop")])
    tags = body["response_format"]
    assert tags == {"type": "structural_tag", "format": {
        "type": "triggered_tags", "triggers": ["<tool_call>"], "tags": TAGS, "at_least_one": False,
        "stop_after_first": False,
    }}  # fmt: skip
    assert (result.text, result.finish_reason) == ("Let me see.", "tool_calls")
    assert [(call.name, call.arguments) for call in result.tool_calls] == [("weather", {"city": "Bern"})]
    assert "tools" not in body and '"name": "weather"' in body["messages"][0]["content"]
    body, _ = asked(opened, kind, calls("any", parallel_tool_calls=False))
    form = body["response_format"]["format"]
    assert (form["type"], form["at_least_one"], form["stop_after_first"]) == (
        "tags_with_separator",
        True,
        True,
    )
    body, _ = asked(opened, kind, calls("clock"))
    assert body["response_format"]["format"]["tags"] == TAGS[1:]
    body, _ = asked(opened, kind, calls("auto", grammar=JsonSchema(CITY)))
    answer, tagged = body["response_format"]["format"]["elements"]
    assert answer == {"type": "json_schema", "json_schema": CLOSED, "max_whitespace_cnt": 1}
    assert (tagged["type"], tagged["at_least_one"]) == ("tags_with_separator", True)
    body, _ = asked(opened, kind, calls("none", grammar=JsonSchema(CITY)))
    assert body["response_format"]["type"] == "json_schema"


@pytest.mark.parametrize("kind", ["lmdeploy", "llama", "ollama"])
def test_calls_by_schemas(opened: Open, kind: Kind) -> None:
    """As bare JSON where a call is asked for; else as the model writes it."""
    said = [chunk({"content": piece}) for piece in (CALL[:9], CALL[9:45], CALL[45:])]
    body, result = asked(opened, kind, calls("any"), [*said, chunk({}, 0, "stop")])
    several = body["response_format"]["json_schema"]["schema"]["anyOf"]
    assert [one["properties"]["name"] for one in several] == [{"const": "weather"}, {"const": "clock"}]
    assert several[0]["properties"]["arguments"] == CLOSED
    assert (result.text, result.finish_reason) == ("", "tool_calls")
    assert [(call.name, call.arguments) for call in result.tool_calls] == [("weather", {"city": "Bern"})]
    _, cut = asked(opened, kind, calls("weather"), [said[0], said[1], chunk({}, 0, "length")])
    assert cut.finish_reason == "length" and cut.samples[0].broken_calls[0].name == "weather"
    body, result = asked(opened, kind, calls("auto"), [chunk({"content": TEXT}), chunk({}, 0, "stop")])
    assert "response_format" not in body
    assert result.tool_calls[0].arguments == {"city": "Bern"}
    both = calls("auto", grammar=JsonSchema({"type": "object", "properties": {"name": {"type": "string"}}}))
    _, called = asked(opened, kind, both, [*said, chunk({}, 0, "stop")])
    assert called.tool_calls[0].name == "weather" and called.text == ""
    _, told = asked(opened, kind, both, [chunk({"content": '{"name": "weather"}'}), chunk({}, 0, "stop")])
    assert (told.text, told.tool_calls) == ('{"name": "weather"}', ())
    with pytest.raises(OptionError, match="choose between calls and an answer"):
        asked(opened, kind, calls("auto", grammar=Regex("a")))


def test_references_lead_where_they_led(opened: Open) -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}
    tool = Tool(
        "walk", "", {"type": "object", "$defs": {"node": node}, "properties": {"a": {"$ref": "#/$defs/node"}}}
    )
    request = Request("Hi", tools=[WEATHER, tool], tool_choice="any")
    body, _ = asked(opened, "llama", request, [chunk({"content": CALL}), chunk({}, 0, "stop")])
    whole = body["response_format"]["json_schema"]["schema"]
    kept = whole["anyOf"][1]["properties"]["arguments"]
    assert kept == {"$ref": "#/$defs/0"}
    assert whole["$defs"]["0"]["properties"]["a"] == {"$ref": "#/$defs/0/$defs/node"}
    assert whole["$defs"]["0"]["$defs"]["node"]["properties"]["next"] == {"$ref": "#/$defs/0/$defs/node"}


def test_a_dialect_of_special_tokens(opened: Open) -> None:
    """InternLM's turns of its own are written out."""
    turns = [
        Message.user("Weather?"),
        Message.assistant(ToolCall("1", "weather", {"city": "Bern"})),
        Message.tool(ToolResult("1", "weather", (Text("<|action_end|> sunny"),))),
    ]
    with FakeServer(script=lambda body: "Sunny.", model="InternVL3-9B") as server:
        [result] = opened(server).generate([Request(turns, tools=[WEATHER])])
        messages = server.chats()[0]["messages"]
    assert [message["role"] for message in messages] == ["system", "user", "assistant"]
    assert "<|im_end|>\n<|im_start|>system name=<|plugin|>\n[{" in messages[0]["content"]
    called, told = messages[2]["content"].split("<|im_end|>\n<|im_start|>environment name=<|plugin|>\n")
    assert called.startswith("<|action_start|><|plugin|>\n{") and told == "<\\|action_end|> sunny"
    assert result.text == "Sunny."


def test_tools_of_the_server_itself(opened: Open) -> None:
    turns = [
        Message.user(Image(gradient()), "Weather?"),
        Message.assistant("Hm.", ToolCall("1", "weather", {"city": "Bern"})),
        Message.tool(ToolResult("1", "weather", (Text("no"),), is_error=True)),
    ]
    said = [
        chunk({"content": "I "}),
        chunk({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "clock", "arguments": "{"}}]}),
        chunk({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "clock", "arguments": "}"}}]}),
        chunk({"tool_calls": [{"index": 0, "id": "b", "function": {"name": "weather", "arguments": ""}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"city": "Ulm"}'}}]}),
        chunk({}, 0, "tool_calls"),
    ]
    request = Request(turns, tools=[WEATHER, CLOCK], tool_choice="any")
    body, result = asked(opened, "vllm", request, said, native_tools=True)
    assert [tool["function"]["name"] for tool in body["tools"]] == ["weather", "clock"]
    assert (body["tool_choice"], body["parallel_tool_calls"]) == ("required", True)
    system, user, assistant, tool = body["messages"]
    assert "weather" not in system["content"] and user["content"][0]["type"] == "image_url"
    assert assistant["tool_calls"][0]["function"] == {"name": "weather", "arguments": '{"city": "Bern"}'}
    assert tool == {"role": "tool", "tool_call_id": "1", "content": "Error: no"}
    assert [(call.id, call.name) for call in result.tool_calls] == [("a", "clock"), ("b", "weather")]
    assert (result.text, result.finish_reason) == ("I ", "tool_calls")


# Models and images.


def test_the_model_that_is_served(opened: Open) -> None:
    cards = [
        {"id": "internvl", "owned_by": "vllm", "root": "OpenGVLab/InternVL3-2B", "max_model_len": 99},
        {"id": "invoices", "owned_by": "vllm", "root": "/lora", "parent": "internvl"},
    ]
    with FakeServer(models=cards, model="internvl") as server:
        engine = opened(server)
        assert engine.capabilities.model == "internvl"
        assert opened(server, model="invoices").capabilities.model == "invoices"
        with pytest.raises(ServerError, match=r"does not serve 78B.*internvl, invoices"):
            opened(server, model="78B")
        assert engine.generate([Request("Hi")])[0].text == "Hello there"
    both = [{"id": name, "owned_by": "vllm"} for name in ("InternVL3-8B", "Qwen3-8B", "InternVL3-2B")]
    with FakeServer(models=both) as server:
        with pytest.raises(ServerError, match="serves 3 models"):
            opened(server)
        assert opened(server, model="OpenGVLab/InternVL3-8B-hf").capabilities.model == "InternVL3-8B"
    with FakeServer(models=both[:2]) as server:
        assert opened(server).capabilities.model == "InternVL3-8B"
    others = [{"id": "llama3", "owned_by": "library"}]
    unnamed = pytest.raises(ServerError, match="Name one with model: llama3")
    with FakeServer("ollama", models=others) as server, unnamed:
        opened(server)


class NoList(FakeServer):
    def get(self, path: str, body: Any) -> Any:
        return Status(404) if path == "/v1/models" else super().get(path, body)


def test_a_server_without_a_list_of_models(opened: Open) -> None:
    with NoList("other") as server:
        assert opened(server, model="InternVL3-8B").generate([Request("Hi")])[0].text == "Hello there"
        with pytest.raises(ServerError, match="no such address"):
            opened(server)


@pytest.mark.parametrize("kind", ["llama", "ollama"])
def test_a_server_that_says_it_takes_no_images(opened: Open, kind: Kind) -> None:
    with FakeServer(kind, images=False) as server:
        engine = opened(server, model="8B")
        with pytest.raises(ServerError, match="takes no images"):
            engine.generate([Request(Message.user(Image(gradient()), "?"))])
        assert server.chats() == []
        assert engine.generate([Request("Hi")])[0].text == "Hello there"


@pytest.mark.parametrize("native", [False, True])
def test_images_as_one(opened: Open, native: bool) -> None:
    request = Request(Message.user(Combined((Image(gradient()), Image(gradient()))), "?"))
    with FakeServer() as server:
        with pytest.raises(MessageError, match="every image by itself"):
            opened(server, native_tools=native).generate([request])
        assert server.chats() == []


def test_an_answer_that_is_not_streamed(opened: Open) -> None:
    whole = {
        "choices": [{"index": 0, "message": {"content": "Hi!"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 4, "completion_tokens": 2},
    }
    _, result = asked(opened, "other", Request("Hi"), Status(200, whole))
    assert (result.text, result.usage.prompt_tokens) == ("Hi!", 4)


def test_log_probabilities_that_do_not_come(opened: Open) -> None:
    said = [chunk({"content": "Hi"}), chunk({}, 0, "stop")]
    with pytest.raises(InternVLError, match="tells no log probabilities"):
        asked(opened, "llama", Request("Hi", Sampling(logprobs=2)), said)


def test_special_tokens_at_the_end_are_no_text(opened: Open) -> None:
    said = [chunk({"content": text}) for text in ("<ref>a</ref><box>[[1, 2, 3, 4]]</box><|im", "_end|>")]
    body, result = asked(opened, "vllm", Request("Hi"), [*said, chunk({}, 0, "stop")])
    assert body["skip_special_tokens"] is False
    assert result.text == "<ref>a</ref><box>[[1, 2, 3, 4]]</box>"
    said = [chunk({"content": "2 <| 3"}), chunk({"content": "<|im"}), chunk({}, 0, "stop")]
    assert asked(opened, "vllm", Request("Hi"), said)[1].text == "2 <| 3<|im"


def test_text_of_many_scripts_is_sent_as_it_is(opened: Open) -> None:
    text = "发票 \u2028 فاتورة 🧾 \ud800 \0 <img>"
    with FakeServer(script=lambda body: [json.dumps(chunk({"content": "a\u2028b"}), ensure_ascii=False),
                                         chunk({}, 0, "stop")]) as server:  # fmt: skip
        [result] = opened(server).generate([Request(text)])
        sent = server.chats()[-1]["messages"][-1]["content"]
    assert sent == "发票 \u2028 فاتورة 🧾 \ufffd \ufffd <\\img>"
    assert result.text == "a\u2028b"
