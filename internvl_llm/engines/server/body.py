"""A request as what a server takes for it. What that cannot do is refused here, before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from internvl_llm.checkpoints.family import Dialect
from internvl_llm.engines.server.chunks import Bare, Samples, Tell
from internvl_llm.engines.server.constraints import Constraint, constraint
from internvl_llm.engines.server.flavours import Flavour
from internvl_llm.engines.server.images import Outgoing
from internvl_llm.engines.server.native import messages as native_messages
from internvl_llm.engines.server.refusals import Asked
from internvl_llm.engines.server.turns import turns
from internvl_llm.errors import OptionError
from internvl_llm.media.load import load
from internvl_llm.openai_forms import dump_tool, dump_tool_choice
from internvl_llm.prompt.chatml import render
from internvl_llm.prompt.dialects import FORMATS, Format, describe
from internvl_llm.request import Request


@dataclass(frozen=True, slots=True)
class Part:
    """Samples that one HTTP request asks for: `count` of them from `first` on."""

    first: int
    count: int
    seed: int | None


@dataclass(frozen=True, slots=True)
class Asks:
    """How a server is asked, whatever the request. `native` is whether it has tools of its own."""

    flavour: Flavour
    model: str
    context: int
    dialect: Dialect
    native: bool = False

    @property
    def form(self) -> Format | None:
        """Of calls in the text."""
        return None if self.native else FORMATS.get(self.dialect)


@dataclass(frozen=True, slots=True)
class Plan:
    """One request, ready but for its images: `turns` of the conversation give the messages."""

    request: Request
    asks: Asks
    messages: Any
    """Of the images' URLs."""
    images: tuple[Outgoing, ...]
    constraint: Constraint

    @property
    def parts(self) -> list[Part]:
        n, seed = self.request.n, self.request.sampling.seed
        if self.asks.flavour.samples:
            return [Part(0, n, seed)]
        return [Part(number, 1, None if seed is None else seed + number) for number in range(n)]

    def fields(self, part: Part) -> dict[str, Any]:
        """Of the body, messages aside. All that is sampled by is said: a server has defaults of its own."""
        sampling, flavour = self.request.sampling, self.asks.flavour
        fields: dict[str, Any] = {
            "model": self.asks.model,
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": min(sampling.max_tokens, self.asks.context),
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
        }
        if flavour.top_k:
            fields[flavour.top_k] = sampling.top_k or flavour.all_tokens
        if flavour.repetition_penalty:
            fields[flavour.repetition_penalty] = sampling.repetition_penalty
        if flavour.min_p:
            fields["min_p"] = 0.0
        if flavour.special_tokens:
            fields["skip_special_tokens"] = False
        if part.seed is not None:
            fields["seed"] = part.seed
        if part.count > 1:
            fields["n"] = part.count
        if sampling.stop and flavour.stop:
            fields["stop"] = list(sampling.stop)
        if sampling.logprobs is not None:
            fields |= {"logprobs": True, "top_logprobs": sampling.logprobs}
        if self.asks.native and self.request.tools:
            fields["tools"] = [dump_tool(tool) for tool in self.request.tools]
            fields["tool_choice"] = dump_tool_choice(self.request.tool_choice)
            fields["parallel_tool_calls"] = self.request.parallel_tool_calls
        return fields | self.constraint.fields

    def samples(self, asked: Asked, tell: Tell, part: Part) -> Samples:
        sampling, flavour = self.request.sampling, self.asks.flavour
        return Samples(
            asked,
            tell,
            part.first,
            part.count,
            stop=() if flavour.stop else sampling.stop,
            ends=flavour.special_tokens,
            logprobs=sampling.logprobs,
            bare=self._bare() if self.constraint.bare else None,
        )

    def _bare(self) -> Any:
        form, names = self.asks.form, [tool.name for tool in self.request.tools]
        assert form is not None
        return lambda: Bare(form, names, sure=self.constraint.bare == "always")


def plan(request: Request, asks: Asks) -> Plan:
    """Images are measured, none is drawn. Raises OptionError, GrammarError, MessageError, or what `load`
    does."""
    _check(request, asks.flavour)
    held = constraint(request, asks.flavour, asks.form)
    shown = load(request.messages, request.media)
    if asks.native:
        messages: Any = native_messages(request, shown.counts)
    else:
        prompt = render(
            request.messages,
            system=request.system,
            tools=describe(request.tools, asks.dialect),
            dialect=asks.dialect,
            pictures=shown.counts,
            answer=False,
        )
        made = turns(prompt)

        def messages(urls: list[str]) -> list[Mapping[str, Any]]:
            return [turn.message(urls) for turn in made]

    images = tuple(Outgoing.of(image, request) for image in shown.images)
    return Plan(request, asks, messages, images, held)


def _check(request: Request, flavour: Flavour) -> None:
    sampling = request.sampling
    missing = {
        "top_k": bool(sampling.top_k) and not flavour.top_k,
        "repetition_penalty": sampling.repetition_penalty != 1 and not flavour.repetition_penalty,
    }
    for name, lacks in missing.items():
        if lacks:
            raise OptionError(
                f"{flavour.name} cannot be asked for a {name}",
                remedy=f"Leave {name} out, or use another server or engine",
            )
