"""The transformers engine behind HTTP, as vLLM serves a checkpoint: the chat template of the `-hf` format,
special tokens read wherever they stand in a message, answers held to structural tags and schemas."""

from __future__ import annotations

import json
import queue
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from internvl_llm.engine import EngineSpec
from internvl_llm.engines.answers import Again
from internvl_llm.engines.prompting import Prompting, TiledImage, TokenizedPrompt
from internvl_llm.engines.transformers.engine import TransformersEngine
from internvl_llm.errors import ContextError, InternVLError
from internvl_llm.events import Event, Finish, TextDelta
from internvl_llm.grammar import Choice, Grammar, JsonObject, JsonSchema, Regex
from internvl_llm.media.load import load
from internvl_llm.messages import Image, Message
from internvl_llm.openai_forms import dump_logprobs, parse_response_format
from internvl_llm.prompt.segments import Control, Picture, Prompt, Segment
from internvl_llm.request import Request, Sampling
from internvl_llm.tools import Tool
from tests.kit.checkpoints import Kind, built
from tests.kit.servers.base import Chunk, Reply, Server, Status
from tests.kit.servers.fake import chunk, shown, usage

_NAME = re.compile(r'"name": ("(?:[^"\\]|\\.)*")')


@dataclass(frozen=True)
class _Chat(Request):
    """A conversation as a server has it; `held` says what its answer must match."""

    segments: tuple[Segment, ...] = ()
    held: Request | None = field(default=None, compare=False)


class _Prompting(Prompting):
    def tokenize(self, request: Request) -> TokenizedPrompt:
        assert isinstance(request, _Chat)
        images = [TiledImage(image, request) for image in load(request.messages).images]
        encoded = self.encoder.encode(Prompt(request.segments), [image.count for image in images])
        return TokenizedPrompt(encoded.ids, encoded.spans, images)


class _Served(TransformersEngine):
    def __init__(self, spec: EngineSpec) -> None:
        super().__init__(spec)
        own = self.prompting
        self.prompting = _Prompting(own.model, own.encoder, own.dialect, own.context_tokens)

    def _constraint(self, request: Request) -> Any:
        held = request.held if isinstance(request, _Chat) else None
        return None if held is None else super()._constraint(held)


class WrappedServer(Server):
    def __init__(self, checkpoint: Kind = "tiny", *, model: str = "", **options: Any) -> None:
        self.engine = _Served(EngineSpec(str(built(checkpoint)), **options))
        self.model = model or checkpoint
        self.checkpoint = checkpoint
        super().__init__()

    def get(self, path: str, body: Any) -> Reply:
        context = self.engine.capabilities.context_tokens
        card = {"id": self.model, "owned_by": "vllm", "root": self.checkpoint, "max_model_len": context}
        match path:
            case "/v1/models":
                return {"object": "list", "data": [card]}
            case "/version":
                return {"version": "0.32.0"}
            case "/tokenize":
                count = self.engine.count_tokens(_chat(body)).prompt_tokens
                return {"count": count, "max_model_len": context, "tokens": []}
        return Status(404, {"detail": "Not Found"})

    def chat(self, body: Any) -> Reply:
        events: queue.SimpleQueue[tuple[int, Event | Again | BaseException]] = queue.SimpleQueue()
        try:
            request = _chat(body)
            handle = self.engine.start(request, lambda sample, event: events.put((sample, event)))
        except ContextError as error:
            limit = self.engine.capabilities.context_tokens
            message = f"This model's maximum context length is {limit} tokens. However, {error.message}"
            return Status(400, {"error": {"message": message, "type": "BadRequestError", "code": 400}})
        except InternVLError as error:
            return Status(400, {"error": {"message": str(error), "type": "BadRequestError", "code": 400}})
        if not body.get("stream"):
            return _whole(events)
        return self._chunks(request, events, handle)

    def _chunks(self, request: Request, events: Any, handle: Any) -> Iterator[Chunk]:
        prompt = completion = cached = 0
        left = request.n
        try:
            for sample in range(left):
                yield chunk({"role": "assistant", "content": ""}, sample)
            while left:
                sample, event = events.get()
                if isinstance(event, BaseException):
                    yield {"error": {"message": str(event), "code": 400}}
                    return
                if isinstance(event, Finish):
                    left -= 1
                    prompt, cached = event.usage.prompt_tokens, event.usage.cached_tokens
                    completion += event.usage.completion_tokens
                    yield chunk({}, sample, event.reason)
                elif isinstance(event, TextDelta):
                    told = dump_logprobs(event.logprobs) if event.logprobs else None
                    yield chunk({"content": event.text}, sample, logprobs=told)
            yield {"choices": [], "usage": usage(prompt, completion, cached)}
        finally:
            handle.cancel()

    def close(self) -> None:
        super().close()
        self.engine.close()


def _whole(events: Any) -> Mapping[str, Any]:
    text = ""
    while True:
        _, event = events.get()
        if isinstance(event, BaseException):
            raise event
        if isinstance(event, Finish):
            told = usage(event.usage.prompt_tokens, event.usage.completion_tokens)
            message = {"role": "assistant", "content": text}
            return {
                "choices": [{"index": 0, "message": message, "finish_reason": event.reason}],
                "usage": told,
            }
        if isinstance(event, TextDelta):
            text += event.text


def _chat(body: Any) -> _Chat:
    """Of the body, by the template of the `-hf` checkpoints."""
    segments: list[Segment] = []
    images: list[Image] = []
    for message in body["messages"]:
        content = message["content"]
        segments.append(Control(f"<|im_start|>{message['role']}\n"))
        for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            if part["type"] == "text":
                segments.append(Control(part["text"]))
                continue
            segments += [Control("<img>"), Picture(len(images)), Control("</img>\n")]
            images.append(Image(shown(part).convert("RGB")))
        segments.append(Control("<|im_end|>\n"))
    segments.append(Control("<|im_start|>assistant\n"))
    sampling = Sampling(
        max_tokens=body.get("max_tokens") or 10**6,
        temperature=body.get("temperature", 1.0),
        top_p=body.get("top_p", 1.0),
        top_k=body.get("top_k", 0),
        repetition_penalty=body.get("repetition_penalty", 1.0),
        seed=body.get("seed"),
        stop=tuple(body.get("stop") or ()),
        logprobs=body["top_logprobs"] if body.get("logprobs") else None,
    )
    return _Chat(
        Message.user(*images, "-"),
        sampling,
        n=body.get("n") or 1,
        segments=tuple(segments),
        held=_held(body),
    )


def _held(body: Any) -> Request | None:
    """What the answer is held to, as a request that is for that alone."""
    outputs = body.get("structured_outputs")
    if outputs is not None:
        grammar: Grammar = Regex(outputs["regex"]) if "regex" in outputs else Choice(tuple(outputs["choice"]))
        return Request("-", grammar=grammar)
    form = body.get("response_format")
    if form is None:
        return None
    if form["type"] != "structural_tag":
        return Request("-", grammar=parse_response_format(form))
    return _tagged(form["format"])


def _tagged(tags: Any) -> Request:
    match tags["type"]:
        case "or":
            answer, calls = tags["elements"]
            return replace(_tagged(calls), grammar=_element(answer), tool_choice="auto")
        case "tags_with_separator" | "triggered_tags" as kind:
            tools = [Tool(_name(tag["begin"]), "", tag["content"]["json_schema"]) for tag in tags["tags"]]
            choice = "auto" if kind == "triggered_tags" else "any"
            several = not tags["stop_after_first"]
            return Request("-", tools=tools, tool_choice=choice, parallel_tool_calls=several)
    raise AssertionError(tags)


def _element(element: Any) -> Grammar:
    if element["type"] == "regex":
        return Regex(element["pattern"])
    schema = element["json_schema"]
    return JsonObject() if schema == {"type": "object"} else JsonSchema(schema)


def _name(begin: str) -> str:
    found = _NAME.search(begin)
    assert found is not None and begin.startswith("<tool_call>\n") and begin.endswith('"arguments": ')
    return str(json.loads(found[1]))
