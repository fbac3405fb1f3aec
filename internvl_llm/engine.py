"""What runs a checkpoint: the protocol of engines, what one can do, and the spec it is opened by."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Protocol, get_args, get_type_hints, runtime_checkable

from pydantic import Field, SecretStr

from internvl_llm.checkpoints.family import Precision
from internvl_llm.errors import OptionError

if TYPE_CHECKING:
    from internvl_llm.events import Event, Result, Usage
    from internvl_llm.request import Request


@dataclass(frozen=True, slots=True)
class Capabilities:
    model: str
    context_tokens: int
    images: bool = True
    video: bool = True
    logprobs: bool = True
    repetition_penalty: bool = True
    """Whether one can be asked for."""
    dialect: str = "none"
    """Of tool calls."""
    details: tuple[tuple[str, str], ...] = ()
    """What runs where, and why: (what, sentence)."""


@runtime_checkable
class Engine(Protocol):
    """Runs one checkpoint. Thread-safe: callers of all methods, sync and async, are batched together.

    `internvl_llm.engines.base.BaseEngine` derives most of it.
    """

    @property
    def capabilities(self) -> Capabilities: ...

    @property
    def fingerprint(self) -> str:
        """Names what answers: engines of one fingerprint give the same answers, and no others may have it."""
        ...

    def generate(self, requests: Sequence[Request]) -> list[Result]:
        """One result a request. The first request that fails raises; the others are given up."""
        ...

    async def agenerate(self, requests: Sequence[Request]) -> list[Result]: ...

    def stream(self, request: Request) -> Generator[Event, None, None]:
        """Text as it comes, one Finish at the end. Closing it frees its place in the batch."""
        ...

    def astream(self, request: Request) -> AsyncGenerator[Event, None]: ...

    def count_tokens(self, request: Request) -> Usage:
        """Of the prompt: exact, without running the model."""
        ...

    def close(self) -> None:
        """End it for all who share it; what is running raises EngineError."""
        ...


PREFIX_BYTES = 2**30
RETRIES = 5


class ApiKey(SecretStr):
    """Of a server. Shown nowhere, and pickled empty: who reads a pickle has the key from INTERNVL_API_KEY."""

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), ("",)

    def __copy__(self) -> ApiKey:
        return self

    def __deepcopy__(self, memo: Any) -> ApiKey:
        return self


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """What to run and how. `model` is a family member in any spelling, a hub id, or a local folder; of a
    server it may be left out, where that serves one.

    Raises OptionError for values that no engine knows.
    """

    model: str = ""
    engine: str = ""
    """A name in `internvl_llm.engines.open.ENGINES`; `server` where there is a `base_url`, else
    `transformers`."""
    base_url: Annotated[
        str | None, Field(description="Of a server, such as http://localhost:8000/v1; several by commas.")
    ] = None
    api_key: ApiKey | None = field(default=None, repr=False)
    """Of a server; without one that of the environment, INTERNVL_API_KEY."""
    device: Annotated[str, Field(description="auto, cuda, mps or cpu.")] = "auto"
    dtype: Annotated[str, Field(description="auto, bfloat16, float16 or float32.")] = "auto"
    attention: Annotated[str, Field(description="auto, flash_attention_2, sdpa or eager.")] = "auto"
    precision: Annotated[
        Precision, Field(description="Of the weights: bf16 (as they are), or int8 or int4 by bitsandbytes.")
    ] = "bf16"
    device_map: tuple[tuple[str, int | str], ...] | None = None
    """Modules placed by hand, a mapping too; None lays the parts out over the GPUs there are."""
    replicas: Annotated[int | None, Field(description="Copies of the model; as many as fit if left out.")] = (
        None
    )
    revision: Annotated[str | None, Field(description="Branch, tag or commit of a model on the hub.")] = None
    tensor_parallel: Annotated[
        int | None, Field(description="GPUs that each layer of a copy is split over (vllm, lmdeploy).")
    ] = None
    context_tokens: Annotated[
        int | None, Field(description="Of a prompt and its answer at most; the model's own if left out.")
    ] = None
    memory_share: Annotated[
        float | None,
        Field(description="Of a GPU's memory (vllm), or of what the weights leave for tokens (lmdeploy)."),
    ] = None
    backend: Annotated[str, Field(description="Of lmdeploy: auto, turbomind or pytorch.")] = "auto"
    draft_tokens: Annotated[
        int, Field(description="Guessed at once from what the text holds already, n-grams (vllm); 0 is none.")
    ] = 0
    repeat_limit: Annotated[
        int,
        Field(description="Times an answer may repeat itself before it is ended (vllm, lmdeploy); 0 is any."),
    ] = 0
    max_batch: int | None = None
    """Sequences at once; None is 16 on a CPU, 128 on GPUs."""
    kv_bytes: int | None = None
    """Of running sequences, a copy of the model; None is what is free on GPUs, 4 GiB on a CPU."""
    prefix_bytes: int = PREFIX_BYTES
    """Of keys and values kept for prompts that begin alike; 0 keeps none. vllm and lmdeploy know no other
    number: they keep what the memory of running sequences leaves."""
    feature_bytes: int = 2**28
    """Of image features kept; 0 keeps none."""
    prefill_chunk: int | None = None
    """Prompt tokens computed between two steps of the running sequences; None is 2048, or what vllm and
    lmdeploy find best."""
    vision_chunk: int = 8
    """Tiles the vision tower sees at once."""
    native_tools: Annotated[
        bool,
        Field(description="Leave tools to the server's template and parser; else they stand in the prompt."),
    ] = False
    concurrency: Annotated[
        int, Field(description="Requests to servers at once, of all callers in this process.")
    ] = 64
    max_retries: Annotated[
        int, Field(description="Of a request that a server refuses for now, or whose connection is lost.")
    ] = RETRIES
    connect_timeout: Annotated[float, Field(description="Seconds until a server is connected.")] = 10.0
    first_token_timeout: Annotated[
        float, Field(description="Seconds until a server begins its answer; it may be busy.")
    ] = 600.0
    token_timeout: Annotated[float, Field(description="Seconds between two tokens of a server.")] = 120.0

    def __post_init__(self) -> None:
        if self.device_map is not None:
            object.__setattr__(self, "device_map", _modules(self.device_map))
        if isinstance(self.api_key, SecretStr):
            object.__setattr__(self, "api_key", ApiKey(self.api_key.get_secret_value()))
        elif isinstance(self.api_key, str):
            object.__setattr__(self, "api_key", ApiKey(self.api_key))
        elif self.api_key is not None:
            raise OptionError(f"api_key cannot be a {type(self.api_key).__name__}", remedy="Give a text")
        for name, kinds in _kinds().items():
            value = getattr(self, name)
            if float in kinds and isinstance(value, int) and not isinstance(value, bool):
                object.__setattr__(self, name, value := float(value))
            if isinstance(value, bool) != (bool in kinds) or not isinstance(value, kinds):
                raise OptionError(f"{name} cannot be {_brief(value)}", remedy=f"Give {_listed(kinds)}")
        if not self.engine:
            object.__setattr__(self, "engine", "server" if self.base_url else "transformers")
        if not self.model and not self.base_url:
            raise OptionError("no model is named", remedy="Give its name or folder")
        if self.precision not in get_args(Precision):
            raise OptionError(
                f"unknown precision {_brief(self.precision)}",
                remedy=f"Use one of {', '.join(get_args(Precision))}",
            )
        for name, low in _LEAST.items():
            value = getattr(self, name)
            if value is not None and value < low:
                raise OptionError(f"{name} cannot be {value}", remedy=f"Give {low} or more")
        if self.memory_share is not None and not 0 < self.memory_share < 1:
            raise OptionError(
                f"memory_share cannot be {self.memory_share}", remedy="Give more than 0, below 1"
            )
        if self.backend not in _BACKENDS:
            raise OptionError(
                f"unknown backend {_brief(self.backend)}", remedy=f"Use one of {', '.join(_BACKENDS)}"
            )
        for name in ("connect_timeout", "first_token_timeout", "token_timeout"):
            if not 0 < getattr(self, name) <= _LONGEST:
                raise OptionError(
                    f"{name} cannot be {getattr(self, name)}", remedy=f"Give seconds, {_LONGEST:,} at most"
                )

    def plain(self) -> dict[str, Any]:
        """The fields that are not their defaults, as JSON has them; without the key."""
        usual = {"engine": "server" if self.base_url else "transformers", "api_key": self.api_key}
        changed = {
            one.name: getattr(self, one.name)
            for one in fields(self)
            if getattr(self, one.name) != usual.get(one.name, one.default)
        }
        return changed | ({"device_map": dict(self.device_map)} if self.device_map else {})


_LEAST = {
    **dict.fromkeys(("max_batch", "kv_bytes", "replicas", "prefill_chunk", "vision_chunk"), 1),
    **dict.fromkeys(("tensor_parallel", "context_tokens", "concurrency"), 1),
    **dict.fromkeys(("prefix_bytes", "feature_bytes", "draft_tokens", "repeat_limit", "max_retries"), 0),
}
_BACKENDS = ("auto", "turbomind", "pytorch")
_LONGEST = 10**7
"""Seconds."""


@cache
def _kinds() -> dict[str, tuple[type, ...]]:
    """What the values of each field are, but of those that are looked at one by one."""
    hints = get_type_hints(EngineSpec)
    kinds = {
        one.name: get_args(hints[one.name]) or (hints[one.name],)
        for one in fields(EngineSpec)
        if one.name not in ("precision", "device_map", "api_key")
    }
    return {name: (int, float) if several == (float,) else several for name, several in kinds.items()}


def _modules(device_map: object) -> tuple[tuple[str, int | str], ...]:
    """Pairs of a module and its device, of a mapping or a sequence."""
    pairs = device_map.items() if isinstance(device_map, Mapping) else device_map
    if isinstance(pairs, Iterable) and not isinstance(pairs, str | bytes):
        match [tuple(pair) if isinstance(pair, list) else pair for pair in pairs]:
            case modules if all(map(_is_placed, modules)):
                return tuple(modules)
    raise OptionError(
        f"device_map cannot be {_brief(device_map)}", remedy="Give modules and the GPU, or cpu, of each"
    )


def _is_placed(pair: object) -> bool:
    match pair:
        case (str(), int() | str() as device):
            return not isinstance(device, bool)
    return False


def _listed(kinds: tuple[type, ...]) -> str:
    words = {int: "a whole number", float: "a number", str: "a text", bool: "True or False"}
    return " or ".join(words.get(kind, "None") for kind in kinds)


def _brief(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:80]}…"
