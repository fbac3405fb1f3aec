"""Servers that answer from a script, each kind in its own words."""

from __future__ import annotations

import base64
import io
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import PIL.Image

from internvl_llm.prompt.tiling import tile_count
from tests.kit.servers.base import Break, Chunk, Reply, Server, Status

Kind: TypeAlias = Literal["vllm", "sglang", "lmdeploy", "llama", "ollama", "other"]
KINDS: tuple[Kind, ...] = ("vllm", "sglang", "lmdeploy", "llama", "ollama", "other")
Said: TypeAlias = str | Status | Break | Sequence[Chunk]
Script: TypeAlias = Callable[[Any], Said] | str

TOKEN = 4
"""Characters."""


class FakeServer(Server):
    """`script` is what it says, or is asked for each chat; probes of images are answered by their sizes.

    A string is answered as a model would: a token is four characters, `max_tokens` holds. A `Break` comes
    where the answer would begin.
    """

    def __init__(
        self,
        kind: Kind = "vllm",
        script: Script = "Hello there",
        *,
        model: str = "InternVL3-8B",
        root: str = "OpenGVLab/InternVL3-8B-hf",
        context: int = 32_768,
        max_tiles: int = 12,
        key: str = "",
        images: bool = True,
        models: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        self.kind, self.model, self.root, self.context = kind, model, root, context
        self.script, self.max_tiles, self.key, self.images = script, max_tiles, key, images
        self.models = models
        self.count = itertools.count()
        super().__init__()

    def get(self, path: str, body: Any) -> Reply:
        if self.key and self.asked[-1].headers.get("Authorization") != f"Bearer {self.key}":
            return Status(401, {"error": {"message": "Incorrect API key provided", "type": "auth"}})
        return self._endpoints(body).get(path) or Status(404, {"detail": "Not Found"})

    def chat(self, body: Any) -> Reply:
        if self.key and self.asked[-1].headers.get("Authorization") != f"Bearer {self.key}":
            return Status(401, {"error": {"message": "Incorrect API key provided", "type": "auth"}})
        if body["model"] != self.model:
            return Status(404, {"error": {"message": f"The model `{body['model']}` does not exist."}})
        tokens = self.tokens(body["messages"])
        if tokens and not self.images and "image_url" in str(body["messages"])[:10_000]:
            return Status(400, {"error": {"message": f"{self.model} is not a multimodal model"}})
        if tokens >= self.context:
            return Status(400, {"error": {"message": self._too_long(tokens)}})
        if body.get("max_tokens") == 1 and not body.get("stream"):
            return self._whole("x", body, tokens)
        said = self.script(body) if callable(self.script) else self.script
        if isinstance(said, Status):
            return said
        if isinstance(said, str):
            return self.stream(said, body) if body.get("stream") else self._whole(said, body, tokens)
        return [said] if isinstance(said, Break) else said

    def stream(self, text: str, body: Any) -> Iterator[Chunk]:
        """As a model would say it, in tokens."""
        most, stops = body.get("max_tokens") or 10**6, body.get("stop") or []
        ends = [at for stop in stops if (at := text.find(stop)) >= 0]
        pieces = [text[at : at + TOKEN] for at in range(0, len(text), TOKEN)]
        said = pieces[:most]
        if ends and len("".join(said)) > min(ends):
            said, pieces = [text[: min(ends)]], [text[: min(ends)]]
        for choice in range(body.get("n") or 1):
            yield chunk({"role": "assistant", "content": ""}, choice)
            for piece in said:
                yield chunk({"content": piece}, choice, logprobs=_logprobs(piece, body))
            yield chunk({}, choice, "stop" if len(said) == len(pieces) else "length")
        if (body.get("stream_options") or {}).get("include_usage"):
            count = len(said) * (body.get("n") or 1)
            yield {"choices": [], "usage": usage(self.tokens(body["messages"]), count)}

    def tokens(self, messages: Any) -> int:
        """A word is a token, a message three; images as InternVL's code cuts them, or llama.cpp's."""
        total = 0
        for message in messages:
            content = message["content"]
            parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
            total += 3 + sum(self._tokens(part) for part in parts)
        return total

    def _tokens(self, part: Any) -> int:
        if part["type"] == "text":
            return len(part["text"].split())
        size = shown(part).size
        if self.kind in ("llama", "ollama"):
            return 3_328 if min(size) > 448 else 256
        return 256 * tile_count(*size, 1, self.max_tiles)

    def _whole(self, text: str, body: Any, tokens: int) -> Mapping[str, Any]:
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return {"object": "chat.completion", "choices": [choice], "usage": usage(tokens, len(text) // 4 + 1)}

    def _too_long(self, tokens: int) -> str:
        return (
            f"This model's maximum context length is {self.context} tokens. However, your prompt contains "
            f"{tokens} input tokens. Please reduce the length of the input prompt."
        )

    def _endpoints(self, body: Any) -> Mapping[str, Any]:
        card: dict[str, Any] = {"id": self.model, "object": "model", "created": 1}
        owner = {"llama": "llamacpp", "ollama": "library", "other": "somebody"}.get(self.kind, self.kind)
        card["owned_by"] = owner
        more: dict[str, Any] = {}
        if self.kind == "vllm":
            card |= {"root": self.root, "max_model_len": self.context, "parent": None}
            more["/version"] = {"version": "0.32.0"}
            if body is not None:
                tokens = self.tokens(body["messages"])
                more["/tokenize"] = {"count": tokens, "max_model_len": self.context, "tokens": []}
        elif self.kind == "sglang":
            card |= {"root": self.model, "max_model_len": self.context}
            more["/server_info"] = {"version": "0.5.23"}
            more["/model_info"] = {"model_path": self.root}
        elif self.kind == "lmdeploy":
            card |= {"root": self.model}
        elif self.kind == "llama":
            card["meta"] = {"n_ctx_train": 32768, "n_params": 8_000_000_000}
            more["/props"] = {
                "default_generation_settings": {"n_ctx": self.context},
                "build_info": "b1-abc",
                "model_path": f"/models/{self.model}.gguf",
                "modalities": {"vision": self.images, "audio": False},
            }
        elif self.kind == "ollama":
            named = {"name": self.model, "digest": "0123abcd"}
            more["/api/version"] = {"version": "0.13.0"}
            more["/api/show"] = {"capabilities": ["completion", *(["vision"] if self.images else [])]}
            more["/api/tags"] = {"models": [named]}
            loaded = any(asked.path == "/api/generate" for asked in self.asked)
            more["/api/ps"] = {"models": [{**named, "context_length": self.context}] if loaded else []}
            more["/api/generate"] = {"model": self.model, "done": True}
        return {"/v1/models": {"object": "list", "data": self.models or [card]}, **more}


def chunk(
    delta: Mapping[str, Any], index: int = 0, reason: str | None = None, logprobs: Any = None
) -> dict[str, Any]:
    choice = {"index": index, "delta": delta, "finish_reason": reason, "logprobs": logprobs}
    return {"object": "chat.completion.chunk", "choices": [choice]}


def usage(prompt: int, completion: int, cached: int = 0) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
    }


def shown(part: Any) -> PIL.Image.Image:
    """The image of a part of a message."""
    head, _, data = part["image_url"]["url"].partition(",")
    assert head == "data:image/png;base64"
    return PIL.Image.open(io.BytesIO(base64.b64decode(data)))


def _logprobs(token: str, body: Any) -> Any:
    if not body.get("logprobs"):
        return None
    top = [{"token": token + "'" * n, "logprob": -0.5 - n} for n in range(body.get("top_logprobs") or 0)]
    return {"content": [{"token": token, "logprob": -0.5, "top_logprobs": top}]}
