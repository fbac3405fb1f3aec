"""Which of several addresses is asked next."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import pytest

from internvl_llm.engines.server.addresses import Address, Addresses, base_urls
from internvl_llm.engines.server.loop import Limit


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def several(count: int) -> tuple[Addresses, Clock]:
    clock = Clock()
    return Addresses([Address(f"http://{number}/v1") for number in range(count)], clock), clock


def names(addresses: Addresses, count: int) -> list[str]:
    """Those that so many requests at once go to."""
    with ExitStack() as stack:
        return [stack.enter_context(addresses.use()).url[7] for _ in range(count)]


def test_the_least_busy_one_and_in_turn() -> None:
    addresses, _ = several(3)
    assert names(addresses, 7) == list("0120120")
    assert [names(addresses, 1)[0] for _ in range(4)] == ["1", "2", "0", "1"]
    with addresses.use() as busy:
        assert busy.url not in [f"http://{name}/v1" for name in names(addresses, 2)]


def test_one_that_cannot_be_reached_rests() -> None:
    addresses, clock = several(2)
    dead = addresses.all[0]
    addresses.failed(dead, reached=False)
    assert names(addresses, 3) == ["1"] * 3
    clock.now += 1.01
    assert names(addresses, 4) == list("0111")  # one shows whether it is back
    addresses.failed(dead, reached=False)
    clock.now += 1.01
    assert names(addresses, 2) == ["1"] * 2
    clock.now += 1.0
    assert "0" in names(addresses, 1)
    addresses.worked(dead)
    assert names(addresses, 4).count("0") == 2


def test_rests_have_a_longest() -> None:
    addresses, clock = several(2)
    for _ in range(50):
        addresses.failed(addresses.all[0], reached=False)
    assert addresses.all[0].rests - clock.now <= 30


def test_where_somebody_is_some_failures_are_forgiven() -> None:
    addresses, _ = several(2)
    for _ in range(3):
        addresses.failed(addresses.all[0], reached=True)
        assert "0" in names(addresses, 2)
    addresses.failed(addresses.all[0], reached=True)
    assert names(addresses, 2) == ["1", "1"]


def test_where_all_rest_the_first_to_be_back_is_asked() -> None:
    addresses, clock = several(2)
    addresses.failed(addresses.all[1], reached=False)
    clock.now += 0.5
    addresses.failed(addresses.all[0], reached=False)
    assert names(addresses, 1) == ["1"]


def test_another_one_is_asked_again_where_there_is_one() -> None:
    addresses, _ = several(2)
    with addresses.use() as first, addresses.use(besides=first) as second:
        assert second is not first
    alone, _ = several(1)
    with alone.use() as first, alone.use(besides=first) as again:
        assert again is first


def test_roots() -> None:
    [url] = base_urls("https://a.example:8443/vllm/v1/")
    assert url == "https://a.example:8443/vllm/v1"
    assert Address(url).root == "https://a.example:8443/vllm"
    assert base_urls("http://[::1]:8000") == ("http://[::1]:8000/v1",)


# Places.


async def test_places_are_given_in_turn() -> None:
    limit, order = Limit(), list[int]()

    async def ask(number: int, most: int = 2) -> None:
        async with limit.place(most):
            order.append(number)
            await asyncio.sleep(0.001)

    await asyncio.gather(*map(ask, range(9)))
    assert order == list(range(9)) and limit.taken == 0


async def test_who_allows_fewer_waits_and_holds_up_nobody() -> None:
    limit = Limit()

    async def alone() -> int:
        async with limit.place(1):
            return limit.taken

    async with limit.place(3), limit.place(3):
        small = asyncio.create_task(alone())
        await asyncio.sleep(0)
        async with asyncio.timeout(5), limit.place(3):
            assert not small.done() and limit.taken == 3
    assert await asyncio.wait_for(small, 5) == 1
    assert limit.taken == 0


@pytest.mark.parametrize("while_waiting", [True, False])
async def test_who_is_cancelled_leaves_no_place_taken(while_waiting: bool) -> None:
    limit = Limit()

    async def ask() -> None:
        async with limit.place(1):
            await asyncio.sleep(3600)

    first, second = asyncio.create_task(ask()), asyncio.create_task(ask())
    await asyncio.sleep(0.001)
    if while_waiting:
        second.cancel()
        await asyncio.wait([second])
        first.cancel()
    else:
        first.cancel()
        second.cancel()  # as it is given the place
    await asyncio.gather(first, second, return_exceptions=True)
    assert limit.taken == 0
    async with asyncio.timeout(5), limit.place(1):
        pass
