"""The next token from logits, sequence by sequence, so that a sample does not depend on its company."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from internvl_llm.request import Sampling


class Sampler:
    """Of one sequence; keeps its random state and what it has said."""

    def __init__(self, sampling: Sampling, prompt: Sequence[int], sample: int) -> None:
        self.sampling = sampling
        self._generator: torch.Generator | None = None
        if sampling.temperature > 0:
            self._generator = torch.Generator()
            if sampling.seed is None:
                self._generator.seed()
            else:
                self._generator.manual_seed((sampling.seed + 7919 * sample) % 2**63)
        self._seen = torch.tensor(sorted(set(prompt)), dtype=torch.long) if self._penalised else None

    @property
    def _penalised(self) -> bool:
        return self.sampling.repetition_penalty != 1.0

    @property
    def plain(self) -> bool:
        """Whether the likeliest token is all there is to it."""
        greedy = self._generator is None and not self._penalised
        return greedy and self.sampling.logprobs is None

    def choose(self, logits: torch.Tensor) -> int:
        """`logits` [vocabulary] in float32 on the CPU, forbidden tokens at minus infinity."""
        if self._seen is not None:  # Keskar et al. 2019 (CTRL), section 4.1
            penalised = logits[self._seen]
            penalty = self.sampling.repetition_penalty
            logits = logits.clone()
            logits[self._seen] = torch.where(penalised > 0, penalised / penalty, penalised * penalty)
        token = int(logits.argmax()) if self._generator is None else self._draw(logits)
        if self._seen is not None:
            self._seen = torch.unique(torch.cat([self._seen, torch.tensor([token])]))
        return token

    def _draw(self, logits: torch.Tensor) -> int:
        logits = logits / self.sampling.temperature
        if 0 < self.sampling.top_k < len(logits):
            least = logits.topk(self.sampling.top_k).values[-1]
            logits = logits.masked_fill(logits < least, float("-inf"))
        chances = logits.softmax(0)
        if self.sampling.top_p < 1:
            ordered, order = chances.sort(descending=True)
            before = ordered.cumsum(0) - ordered
            chances[order[before >= self.sampling.top_p]] = 0  # the likeliest always stays
        return int(torch.multinomial(chances, 1, generator=self._generator))


def logprobs(logits: torch.Tensor, token: int, top: int) -> tuple[float, list[tuple[int, float]]]:
    """Of the token, and the likeliest tokens with theirs, of the model's own distribution."""
    all_of_them = logits.log_softmax(0)
    values, tokens = all_of_them.topk(top) if top else (torch.empty(0), torch.empty(0, dtype=torch.long))
    return float(all_of_them[token]), [(int(t), float(v)) for t, v in zip(tokens, values, strict=True)]
