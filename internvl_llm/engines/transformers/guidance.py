"""Constrained decoding by llguidance: which tokens a grammar allows next."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from internvl_llm.errors import EngineError, GrammarError, MissingDependencyError
from internvl_llm.prompt.encoder import Encoder

_TEXT = frozenset(
    (
        *("<tool_call>", "</tool_call>", "<think>", "</think>"),
        *("<ref>", "</ref>", "<box>", "</box>", "<quad>", "</quad>"),
    )
)
"""Added tokens that stand for their own text in an answer. All others are reason only where a grammar names
them by id."""

_KEPT = 64
"""Compiled grammars."""


class Constraint:
    """The grammar of one answer, and how far it has come."""

    def __init__(self, matcher: Any, executor: Any, words: int) -> None:
        self.matcher = matcher
        self.executor = executor
        """Computes the masks of several at once."""
        self.words = words
        """32-bit words of a mask."""

    def take(self, token: int) -> None:
        if not self.matcher.consume_token(token):
            raise self.failure()

    @property
    def complete(self) -> bool:
        """Whether nothing can follow."""
        return bool(self.matcher.is_stopped())

    def failure(self) -> EngineError:
        why = self.matcher.get_error().strip().splitlines()
        return EngineError(
            f"the grammar cannot be followed any further ({why[0] if why else 'it allows no token'})",
            remedy="Ask for something simpler: fewer alternatives, shorter patterns and lengths",
        )


class Guidance:
    """Grammars over one tokenizer; made when first needed, since that takes about a second. Thread-safe."""

    def __init__(self, tokenizer: Any, encoder: Encoder, ends: frozenset[int]) -> None:
        try:
            import llguidance
        except ImportError as error:
            raise MissingDependencyError(
                f"tools, schemas and other grammars need llguidance ({error})",
                remedy="pip install 'internvl-documents[transformers]'",
            ) from error
        self._library = llguidance
        self.special = {name: token for name, token in encoder.special.items() if name not in _TEXT}
        words = _Words(llguidance, tokenizer, encoder, min(ends))
        self._tokenizer = llguidance.LLTokenizer(llguidance.TokenizerWrapper(words), eos_token=sorted(ends))
        self._words = -(-self._tokenizer.vocab_size // 32)
        self._executor = llguidance.LLExecutor()
        self._matchers: OrderedDict[str, Any] = OrderedDict()
        self._lock = threading.Lock()

    def constraint(self, grammar: str) -> Constraint:
        """Raises GrammarError."""
        with self._lock:
            matcher = self._matchers.pop(grammar, None)
        if matcher is None:
            matcher = self._library.LLMatcher(self._tokenizer, grammar, log_level=0)
            if not matcher.is_error():
                matcher.compute_bitmask()  # some grammars prove impossible only here
            if matcher.is_error():
                raise _refusal(matcher.get_error(), grammar)
        with self._lock:
            self._matchers[grammar] = matcher
            while len(self._matchers) > _KEPT:
                self._matchers.popitem(last=False)
            return Constraint(matcher.deep_copy(), self._executor, self._words)


def allowed(constraints: Sequence[Constraint], device: Any) -> torch.Tensor:
    """Booleans [constraints, tokens] of one tokenizer; the row of a constraint that failed has none."""
    words = constraints[0].words
    bits = np.zeros((len(constraints), words), np.int32)
    if len(constraints) > 1:
        matchers = [(one.matcher, at) for at, one in enumerate(constraints)]
        constraints[0].executor.unsafe_compute_mask_ptr(matchers, bits.ctypes.data, words * 4, len(bits))
    else:
        constraints[0].matcher.unsafe_compute_mask_ptr(bits.ctypes.data, bits.nbytes)
    for at, one in enumerate(constraints):
        if one.matcher.is_error():
            bits[at] = 0
    packed = torch.from_numpy(bits).to(device)
    places = torch.arange(32, dtype=torch.int32, device=device)
    return ((packed[:, :, None] >> places) & 1).bool().flatten(1)


def mask(logits: torch.Tensor, rows: Sequence[int], allowed: torch.Tensor) -> None:
    """Forbids in place what is not allowed in these rows of [rows, vocabulary]."""
    width = min(logits.shape[1], allowed.shape[1])
    at = torch.tensor(rows, device=logits.device)
    masked = torch.full_like(logits[at], float("-inf"))
    masked[:, :width] = logits[at, :width].masked_fill(~allowed[:, :width], float("-inf"))
    logits[at] = masked


class _Words:
    """A tokenizer as llguidance's TokenizerWrapper wants it; added tokens that are text are found in text."""

    def __init__(self, library: Any, tokenizer: Any, encoder: Encoder, end: int) -> None:
        raw = library.LLTokenizer(tokenizer.backend_tokenizer.to_str())
        self._encoder = encoder
        self._added = {name: token for name, token in encoder.special.items() if name in _TEXT}
        self._split = re.compile(f"({'|'.join(map(re.escape, self._added))})") if self._added else None
        self.eos_token_id, self.bos_token_id = end, None
        self.tokens = [raw.decode_bytes([token]) for token in range(raw.vocab_size)]
        for name, token in encoder.special.items():
            self.tokens[token] = name.encode()
        self.special_token_ids = [token for name, token in encoder.special.items() if name not in _TEXT]

    def __call__(self, text: bytes) -> list[int]:
        pieces = self._split.split(text.decode()) if self._split else [text.decode()]
        return [
            token
            for piece in pieces
            for token in ([self._added[piece]] if piece in self._added else self._encoder.exactly(piece))
        ]


_REMEDIES = {
    "oneOf": "Use anyOf, or give the branches a property that is a different const in each",
    "look-ahead": "Write the pattern without looking ahead or back",
    "regex": "Write the pattern in the syntax of Rust's regex",
    "Resource": "Put what is referred to under $defs",
    "NoExtension": "Allow at least one value; what refers to itself must be able to end",
    "Unsatisfiable": "Allow at least one value",
    "Pointer": "Put what is referred to under $defs",
}


def _refusal(error: str, grammar: str) -> GrammarError:
    """The library's first words, without the grammar that was made; comments there say what each line is."""
    line = re.match(r"at (\d+)\(", error)
    before = grammar.splitlines()[int(line[1]) - 2] if line and int(line[1]) > 1 else ""
    what = before.removeprefix("// ") if before.startswith("// ") else "what was asked for"
    reason = re.sub(r"\n\s*\d+ \|.*|<state>.*|\.? Enable '.*", "", error, flags=re.DOTALL).strip()
    reason = re.sub(r"^at \d+\(\d+\): ", "", reason).removeprefix("failed to compile JSON schema: ")
    reason = " ".join(reason.split())[:300]
    remedy = next((r for word, r in _REMEDIES.items() if word in reason), "Ask for something simpler")
    return GrammarError(f"no grammar follows {what} ({reason})", remedy=remedy)
