"""The chunks of a streamed answer, or the whole of one that is not, as events."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from internvl_llm.engines.server.refusals import Asked, Fault, garbage, lost, said_in_stream
from internvl_llm.engines.stops import StopFinder
from internvl_llm.events import Event, Finish, FinishReason, TextDelta, TokenLogprob, ToolCallDelta, Usage
from internvl_llm.prompt.dialects import Format

Tell: TypeAlias = Callable[[int, Event], None]

_REASONS: Mapping[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
}
_ENDS = ("<|im_end|>", "<|endoftext|>")
"""What a server that keeps special tokens may leave at the end."""


class Bare:
    """Calls that come as bare JSON, put between the tags that the parser of calls looks for. `sure` is
    whether each text is one; else that is seen at its end."""

    def __init__(self, form: Format, names: Iterable[str], *, sure: bool) -> None:
        self._form = form
        self._sure = sure
        named = "|".join(re.escape(name) for name in names)
        self._call = re.compile(rf'\s*\{{\s*"name"\s*:\s*"(?:{named})"\s*,\s*"{form.arguments}"\s*:\s*\{{')
        self._held = ""
        self._begun = False

    def push(self, text: str) -> str:
        if not self._sure:
            self._held += text
            return ""
        if text and not self._begun:
            self._begun = True
            return f"{self._form.opens}\n{text.lstrip()}"
        return text

    def finish(self, reason: FinishReason) -> str:
        if not self._sure:
            if not self._call.match(self._held):
                return self._held
            opened = f"{self._form.opens}\n{self._held.lstrip()}"
        else:
            opened = ""
        return f"{opened}{self._form.before}{self._form.closes}" if reason == "stop" else opened


class Samples:
    """Of one request to a server: its choices are the samples from `first` on, `count` of them."""

    def __init__(
        self,
        asked: Asked,
        tell: Tell,
        first: int,
        count: int,
        *,
        stop: tuple[str, ...] = (),
        ends: bool = False,
        logprobs: int | None = None,
        bare: Callable[[], Bare] | None = None,
    ) -> None:
        """`stop` strings are looked for here; `ends` is whether the text may end with special tokens."""
        self._asked = asked
        self._tell = tell
        self._first = first
        self._wants_logprobs = logprobs is not None
        self.told = False
        self._samples = [
            _Sample(StopFinder(stop), StopFinder(_ENDS if ends else ()), bare() if bare else None, logprobs)
            for _ in range(count)
        ]
        self._usage: Usage | None = None

    @property
    def complete(self) -> bool:
        """Whether nothing of what may still come would be told."""
        return all(sample.stopped for sample in self._samples)

    @property
    def finished(self) -> bool:
        """Whether every answer has come to its end."""
        return all(sample.stopped or sample.reason for sample in self._samples)

    def take(self, chunk: Any) -> bool:
        """Whether there was anything of an answer in it. Raises Fault."""
        if not isinstance(chunk, dict):
            raise garbage(self._asked, "JSON that is no object")
        if chunk.get("error"):
            raise said_in_stream(self._asked, chunk["error"])
        if isinstance(chunk.get("usage"), dict):
            self._usage = _usage(chunk["usage"])
        choices = chunk.get("choices")
        if choices is None and "usage" in chunk:
            return False
        if not isinstance(choices, list):
            raise garbage(self._asked, "JSON without choices")
        try:
            for choice in choices:
                self._take(choice)
        except (TypeError, KeyError, ValueError, AttributeError, IndexError) as error:
            raise garbage(self._asked, f"a malformed choice, {type(error).__name__}") from error
        return bool(choices)

    def _take(self, choice: Mapping[str, Any]) -> None:
        number = int(choice.get("index") or 0)
        if number < 0:
            raise IndexError(number)
        sample = self._samples[number]
        delta = choice.get("delta") or choice.get("message") or {}
        told = _logprobs(choice.get("logprobs"))
        text = delta.get("content") or ""
        if not isinstance(text, str):
            raise TypeError("content is no text")
        events = sample.take(text, told) if text or told else []
        for call in delta.get("tool_calls") or ():
            events += sample.call(call)
        for event in events:
            self.told = True
            self._tell(self._first + number, event)
        if choice.get("finish_reason"):
            sample.reason = str(choice["finish_reason"])

    def end(self) -> None:
        """After the last chunk. Raises Fault where an answer has no end."""
        for sample in self._samples:
            if sample.stopped:
                continue
            if sample.reason is None:
                raise lost(self._asked, "the answer ended without a finish")
            if sample.reason not in _REASONS:
                error = self._asked.error(f"gave the answer up ({sample.reason[:40]!r})", "Ask again")
                raise Fault(error, again=sample.reason in ("abort", "error"))
        if self._wants_logprobs and not all(
            sample.has_logprobs or not sample.said for sample in self._samples
        ):
            raise Fault(
                self._asked.error(
                    "tells no log probabilities", "Ask without logprobs, or of another server or engine"
                )
            )
        usage = self._usage or Usage(0, sum(sample.deltas for sample in self._samples))
        for number, sample in enumerate(self._samples, self._first):
            reason = "stop" if sample.stopped else _REASONS[sample.reason or ""]
            for event in sample.finish(reason):
                self._tell(number, event)
            self._tell(number, Finish(reason, usage))
            usage = Usage(usage.prompt_tokens, 0, usage.image_tokens, usage.cached_tokens)


class _Sample:
    """One choice as it comes in."""

    def __init__(self, stops: StopFinder, ends: StopFinder, bare: Bare | None, logprobs: int | None) -> None:
        self._stops = stops
        self._ends = ends
        self._bare = bare
        self._logprobs = logprobs
        self._calls: dict[tuple[int, str], int] = {}
        self._last: dict[int, str] = {}
        self.reason: str | None = None
        self.deltas = 0
        self.said = self.has_logprobs = False

    @property
    def stopped(self) -> bool:
        return self._stops.stopped

    def take(self, text: str, logprobs: tuple[TokenLogprob, ...]) -> list[TextDelta | ToolCallDelta]:
        """Nothing follows a stop string, or a special token that ends the answer."""
        if self.stopped:
            return []
        self.deltas += 1
        self.said = self.said or bool(text)
        self.has_logprobs = self.has_logprobs or bool(logprobs)
        text = "" if self._ends.stopped else self._stops.push(self._ends.push(text))
        text = self._bare.push(text) if self._bare is not None else text
        if self._logprobs is not None:
            logprobs = tuple(
                TokenLogprob(one.token, one.logprob, one.top[: self._logprobs]) for one in logprobs
            )
        else:
            logprobs = ()
        return [TextDelta(text, logprobs)] if text or logprobs else []

    def call(self, call: Mapping[str, Any]) -> list[TextDelta | ToolCallDelta]:
        """Of a server that parses calls itself. Calls are numbered anew: some give all of them one number."""
        function = call.get("function") or {}
        at, id = int(call.get("index") or 0), str(call.get("id") or "")
        id = id or self._last.get(at, "")
        self._last[at] = id
        new = (at, id) not in self._calls
        number = self._calls.setdefault((at, id), len(self._calls))
        name, arguments = str(function.get("name") or ""), function.get("arguments") or ""
        if not isinstance(arguments, str):
            raise TypeError("arguments are no text")
        self.said = True
        return [ToolCallDelta(number, id if new else "", name if new else "", arguments)]

    def finish(self, reason: FinishReason) -> list[TextDelta]:
        text = "" if self.stopped else self._stops.push(self._ends.finish())
        text += "" if self.stopped else self._stops.finish()
        if self._bare is not None:
            text = self._bare.push(text) + self._bare.finish(reason)
        return [TextDelta(text)] if text else []


def _usage(told: Mapping[str, Any]) -> Usage:
    details = told.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else 0
    numbers = (told.get("prompt_tokens"), told.get("completion_tokens"), cached)
    prompt, completion, cached = (number if isinstance(number, int) else 0 for number in numbers)
    return Usage(prompt, completion, 0, cached)


def _logprobs(told: Any) -> tuple[TokenLogprob, ...]:
    content: Sequence[Mapping[str, Any]] = (told.get("content") if isinstance(told, dict) else None) or ()
    return tuple(
        TokenLogprob(
            str(one["token"]),
            float(one["logprob"]),
            tuple((str(top["token"]), float(top["logprob"])) for top in one.get("top_logprobs") or ()),
        )
        for one in content
    )
