"""What a fuzz target is: a property, and the strategies its arguments come from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy, tuples


@dataclass(slots=True)
class Target:
    """Properties raise when they do not hold; `share` of the usual inputs are tried, `runs` counts them."""

    check: Callable[..., None]
    strategies: tuple[SearchStrategy[Any], ...]
    share: float
    runs: int = 0

    def run(self, examples: int, start: int) -> None:
        """Try so many inputs, the same for the same `start`; raises what the property raises."""

        def counted(arguments: tuple[Any, ...]) -> None:
            self.runs += 1
            self.check(*arguments)

        property_ = settings(
            max_examples=max(1, round(examples * self.share)),
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink],
            print_blob=False,
        )(seed(start)(given(tuples(*self.strategies))(counted)))
        property_()


TARGETS: dict[str, Target] = {}


def target(
    *strategies: SearchStrategy[Any], share: float = 1.0
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Registers a property under its name; a slow one with a smaller share."""

    def register(check: Callable[..., None]) -> Callable[..., None]:
        assert check.__name__ not in TARGETS
        TARGETS[check.__name__] = Target(check, strategies, share)
        return check

    return register
