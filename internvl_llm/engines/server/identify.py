"""What stands at an address: which server, which version, which model, with how long a context."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from internvl_llm.checkpoints.family import Member, find
from internvl_llm.engines.server.addresses import Address
from internvl_llm.engines.server.flavours import FLAVOURS, LLAMA, OLLAMA, SGLANG, UNKNOWN, VLLM, Flavour
from internvl_llm.engines.server.refusals import Asked, Fault, garbage, said_of
from internvl_llm.engines.server.wire import Wire
from internvl_llm.errors import ServerError

_CONTEXT = 32_768
"""Of InternVL3, where neither the server nor the name of its model tells."""
_NAME = re.compile(r"internvl(3[._-]5|3)[-_:]?(\d+b)", re.IGNORECASE)
"""Of a file or of Ollama's."""


@dataclass(frozen=True, slots=True)
class Served:
    """`identity` is what names it: what it says of itself that changes with what it answers."""

    flavour: Flavour
    version: str
    model: str
    names: tuple[str, ...]
    """All models that it serves."""
    context: int
    context_from: str
    member: Member | None
    images: bool | None
    """Whether it takes images; None where it does not say."""
    identity: Mapping[str, Any]


async def identify(wire: Wire, address: Address, wanted: str) -> Served:
    """`wanted` is a model, or empty. Raises Fault."""
    asked = wire.asked(address)
    try:
        listed = await wire.json(address, f"{address.url}/models")
    except Fault as fault:
        if fault.status != 404 or not wanted:
            raise
        listed = {"data": []}
    cards = listed.get("data") if isinstance(listed, dict) else None
    if not isinstance(cards, list) or not all(isinstance(card, dict) for card in cards):
        raise garbage(asked, "a list of models that is none", again=False)
    flavour = FLAVOURS.get(str(cards[0].get("owned_by") if cards else ""), UNKNOWN)
    if flavour in (UNKNOWN, OLLAMA):
        told = await _told(wire, address, "/api/version")
        flavour = OLLAMA if "version" in told else UNKNOWN
    card = _chosen(asked, cards, wanted, flavour)
    model = str(card["id"])
    told = await _more(wire, address, flavour, model)
    roots = [str(name) for name in (card.get("root"), told.get("model_path")) if name]
    members = (_member(name) for name in (model, *roots))
    member = next((one for one in members if one is not None), None)
    context, source = _context(card, told, member)
    names = tuple(str(one.get("id")) for one in cards)
    identity: dict[str, Any] = {
        "server": flavour.name,
        "version": str(told.get("version") or told.get("build_info") or ""),
        "model": model,
        "roots": roots,
        "context": context,
        **{key: told[key] for key in ("digest", "modalities") if key in told},
        **({"meta": card["meta"]} if card.get("meta") else {}),
        **({} if flavour.known else {"address": address.url}),
    }
    return Served(
        flavour, identity["version"], model, names, context, source, member, _images(told), identity
    )


async def _told(wire: Wire, address: Address, path: str, body: Any = None) -> dict[str, Any]:
    """Of an endpoint that need not be there."""
    with suppress(Fault):
        answer = await wire.json(address, f"{address.root}{path}", body)
        if isinstance(answer, dict):
            return answer
    return {}


async def _more(wire: Wire, address: Address, flavour: Flavour, model: str) -> dict[str, Any]:
    """What else it says of itself: `version`, `model_path`, `context` and more, where it does."""
    if flavour is VLLM:
        return await _told(wire, address, "/version")
    if flavour is SGLANG:
        told = await _told(wire, address, "/server_info") or await _told(wire, address, "/get_server_info")
        info = await _told(wire, address, "/model_info") or await _told(wire, address, "/get_model_info")
        return {"version": told.get("version"), "model_path": info.get("model_path")}
    if flavour is LLAMA:
        told = await _told(wire, address, "/props")
        settings = told.get("default_generation_settings")
        context = settings.get("n_ctx") if isinstance(settings, dict) else None
        kept = {key: told.get(key) for key in ("build_info", "model_path", "modalities")}
        return {**kept, "context": context}
    if flavour is OLLAMA:
        told = await _told(wire, address, "/api/version")
        shown = await _told(wire, address, "/api/show", {"model": model})
        tag = _of_model(await _told(wire, address, "/api/tags"), model)
        running = _of_model(await _told(wire, address, "/api/ps"), model)
        if not running:  # how much context it has is decided when it is loaded
            await _told(wire, address, "/api/generate", {"model": model, "stream": False})
            running = _of_model(await _told(wire, address, "/api/ps"), model)
        told |= {"capabilities": shown.get("capabilities"), "digest": tag.get("digest")}
        return told | {"context": running.get("context_length")}
    return {}


def _of_model(told: Mapping[str, Any], model: str) -> Mapping[str, Any]:
    models = told.get("models")
    for one in models if isinstance(models, list) else ():
        if isinstance(one, dict) and one.get("name") == model:
            return one
    return {}


def _chosen(asked: Asked, cards: list[dict[str, Any]], wanted: str, flavour: Flavour) -> dict[str, Any]:
    names = [str(card.get("id")) for card in cards]
    if wanted:
        for same in (lambda name: name == wanted, lambda name: _same(name, wanted)):
            found = [card for card, name in zip(cards, names, strict=True) if same(name)]
            if len(found) == 1 or (found and same(wanted)):
                return found[0]
        if not names:
            return {"id": wanted}
        raise Fault(asked.error(f"does not serve {wanted}", f"Name one of {', '.join(names[:10])}, or none"))
    whole = [card for card in cards if not card.get("parent")]
    ours = [card for card in whole if _member(str(card.get("id"))) is not None]
    for several in (whole if flavour.lists_ours else [], ours):
        if len(several) == 1:
            return several[0]
    told = "lists no model" if not names else f"serves {len(names)} models"
    remedy = f"Name one with model: {', '.join(names[:10])}" if names else "Name its model"
    raise Fault(asked.error(told, remedy))


def _same(name: str, wanted: str) -> bool:
    if name.rsplit("/", 1)[-1] == wanted.rsplit("/", 1)[-1]:
        return True
    known = _member(name)
    return known is not None and known == find(wanted)


def _member(name: str) -> Member | None:
    """Of the family, by the name of a hub, a folder, a file, or one of Ollama's."""
    last = name.rstrip("/").rsplit("/", 1)[-1]
    found = find(name) or find(last)
    if found is None and (matched := _NAME.search(last)):
        found = find(f"InternVL{'3.5' if len(matched[1]) > 1 else '3'}-{matched[2]}")
    return found


def _context(card: Mapping[str, Any], told: Mapping[str, Any], member: Member | None) -> tuple[int, str]:
    for value in (card.get("max_model_len"), told.get("context")):
        if isinstance(value, int) and value > 0:
            return value, "as the server says"
    if member is not None:
        return member.context, f"of {member.name}; the server does not say"
    return _CONTEXT, "of InternVL3; neither the server nor the name of its model says"


def _images(told: Mapping[str, Any]) -> bool | None:
    modalities, capabilities = told.get("modalities"), told.get("capabilities")
    if isinstance(modalities, dict) and isinstance(modalities.get("vision"), bool):
        return bool(modalities["vision"])
    if isinstance(capabilities, list):
        return "vision" in capabilities
    return None


def words(served: Served) -> Iterator[tuple[str, str]]:
    """For people: (what, sentence)."""
    yield "server", " ".join(filter(None, (served.flavour.name, served.version)))
    yield "model", served.model
    yield "context", f"{served.context:,} tokens, {served.context_from}"


def not_alike(one: Served, other: Served, address: Address) -> ServerError | None:
    """Several addresses are of one model."""
    if (one.flavour, one.model) == (other.flavour, other.model):
        return None
    return said_of(
        address,
        f"serves {other.model} by {other.flavour.name}, another one {one.model} by {one.flavour.name}",
        "Give addresses of one model on one kind of server",
    )
