"""What `internvl models --serve` writes: the commands of servers for a member of the family, and what they
are reckoned from."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from internvl_llm.checkpoints.family import Member
from internvl_llm.errors import PlacementError
from internvl_llm.hardware.footprint import footprint
from internvl_llm.hardware.serving import MEMORY_SHARE, Split, need, split

PORTS = {"vllm": 8000, "lmdeploy": 23333, "sglang": 30000, "llama-server": 8080}
IMAGES = 64
"""Pages of one request at most."""
_LEFT = 0.8
"""Of what the weights leave of a GPU, for keys and values: LMDeploy's own share."""
_BATCHED = 8192
"""Tokens in one step of vLLM, which refuses an image of more: 31 tiles and the picture of the whole."""

_GGUF = ("InternVL3-1B", "InternVL3-2B", "InternVL3-8B", "InternVL3-14B")
"""Those that ggml-org has converted (their Instruct form)."""
_PARSERS: Mapping[str, Mapping[str, str]] = {
    "hermes": {"vllm": "hermes", "lmdeploy": "qwen2d5", "sglang": "hermes"},
    "internlm": {"vllm": "internlm", "lmdeploy": "internlm"},
    "none": {},
}


@dataclass(frozen=True, slots=True)
class Plan:
    """How a member is shared out over GPUs of one size, in bytes each."""

    member: Member
    split: Split
    memory: int
    context: int


@dataclass(frozen=True, slots=True)
class Command:
    """Of one server: its program, then its options with their values. There are none where it does not serve
    the member, and `note` says why."""

    server: str
    words: tuple[tuple[str, ...], ...]
    note: str
    copies: int = 1
    """Processes of it, each with GPUs and a port of its own."""

    @property
    def addresses(self) -> list[str]:
        return [f"http://localhost:{PORTS[self.server] + copy}" for copy in range(self.copies)]


def plan(member: Member, gpus: int, memory: int, context: int | None = None) -> Plan:
    """Raises PlacementError."""
    tokens = context or member.context
    if tokens > member.context:
        raise PlacementError(
            f"{member.name} takes {member.context:,} tokens, not {tokens:,}", remedy="Lower context_tokens"
        )
    found = split(footprint(member), member.text.heads, memory=memory, gpus=gpus, context=tokens)
    return Plan(member, found, memory, tokens)


def commands(plan: Plan) -> list[Command]:
    return [write(plan) for write in _SERVERS]


def _vllm(plan: Plan) -> Command:
    over, member = plan.split, plan.member
    words = (
        ("vllm", "serve", member.native),
        ("--served-model-name", member.name),
        *_at("vllm", "--host", "--port"),
        ("--max-model-len", str(plan.context)),
        ("--max-num-batched-tokens", str(_BATCHED)),
        ("--gpu-memory-utilization", f"{MEMORY_SHARE:g}"),
        ("--tensor-parallel-size", str(over.tensor_parallel)),
        ("--data-parallel-size", str(over.data_parallel)),
        ("--limit-mm-per-prompt", json.dumps({"image": IMAGES, "video": 0})),
        ("--trust-request-mm-kwargs",),
        ("--enable-prompt-tokens-details",),
        *_parser("vllm", member, "--enable-auto-tool-choice"),
    )
    return Command("vllm", words, "Every request may have tiles of its own.")


def _lmdeploy(plan: Plan) -> Command:
    over, member = plan.split, plan.member
    native = member.dialect == "internlm"  # whose tokenizer the original format has as code
    words = (
        ("lmdeploy", "serve", "api_server", member.native if native else member.original),
        ("--model-name", member.name),
        *_at("lmdeploy", "--server-name", "--server-port"),
        ("--backend", "turbomind"),
        ("--session-len", str(plan.context)),
        ("--cache-max-entry-count", f"{_LEFT:g}"),
        ("--tp", str(over.tensor_parallel)),
        ("--enable-prefix-caching",),
        *_parser("lmdeploy", member),
    )
    note = (
        "In transformers' format, whose images have the tiles that the checkpoint says."
        if native
        else "In the original format, whose images may have tiles of their own; runs no code of it."
    )
    return Command("lmdeploy", words, note, over.data_parallel)


def _sglang(plan: Plan) -> Command:
    over, member = plan.split, plan.member
    words = (
        ("python", "-m", "sglang.launch_server"),
        ("--model-path", member.original),
        ("--served-model-name", member.name),
        *_at("sglang", "--host", "--port"),
        ("--trust-remote-code",),
        ("--chat-template", "internvl-2-5"),
        ("--context-length", str(plan.context)),
        ("--mem-fraction-static", f"{MEMORY_SHARE - 0.05:g}"),
        ("--tp-size", str(over.tensor_parallel)),
        ("--dp-size", str(over.data_parallel)),
        *_parser("sglang", member),
    )
    return Command("sglang", words, "It runs code of the checkpoint; its images have 12 tiles at most.")


def _llama(plan: Plan) -> Command:
    member = plan.member
    if member.name not in _GGUF:
        return Command("llama-server", (), "ggml-org has no GGUF of this member.")
    words = (
        ("llama-server",),
        ("-hf", f"ggml-org/{member.name}-Instruct-GGUF"),
        ("--alias", member.name),
        *_at("llama-server", "--host", "--port"),
        ("--ctx-size", str(plan.context)),
        ("--parallel", "1"),
        ("--n-gpu-layers", "99"),
        ("--jinja",),
    )
    note = "The Instruct weights, quantised; it cuts images into another grid than the model was trained on."
    return Command("llama-server", words, note)


def _at(server: str, host: str, port: str) -> tuple[tuple[str, str], tuple[str, str]]:
    return (host, "127.0.0.1"), (port, str(PORTS[server]))


_SERVERS: tuple[Callable[[Plan], Command], ...] = (_vllm, _lmdeploy, _sglang, _llama)


def _parser(server: str, member: Member, *before: str) -> tuple[tuple[str, ...], ...]:
    name = _PARSERS[member.dialect].get(server)
    return (*((one,) for one in before), ("--tool-call-parser", name)) if name else ()


def lines(plan: Plan) -> Iterator[str]:
    """A script: comments and commands, one server after another."""
    over, member = plan.split, plan.member
    there = need(footprint(member), over.tensor_parallel, plan.memory)
    yield f"# {member.name}, bfloat16, {plan.context:,} tokens of context: {over}."
    yield (
        f"# On each GPU of {_gb(plan.memory)}, {MEMORY_SHARE:.0%} of it used: {_gb(there.weights)} of "
        f"weights, {_gb(there.working)} while it works, {_gb(there.left)} for the keys and values of "
        f"{there.tokens:,} tokens."
    )
    for command in commands(plan):
        yield ""
        yield f"# {command.server}: {command.note}"
        if command.words:
            yield from _script(command, over)
            for address in command.addresses:
                yield f"# ready when this answers: curl -fsS {address}/health"
            yield f"# then: internvl check --base-url {command.addresses[0]}/v1"


def _script(command: Command, over: Split) -> Iterator[str]:
    text = " \\\n  ".join(map(shlex.join, command.words))
    if command.copies == 1:
        yield text
        return
    each, port = over.tensor_parallel, PORTS[command.server]
    for copy in range(command.copies):
        devices = ",".join(str(copy * each + at) for at in range(each))
        yield f"CUDA_VISIBLE_DEVICES={devices} {text.replace(str(port), str(port + copy))} &"


def _gb(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
