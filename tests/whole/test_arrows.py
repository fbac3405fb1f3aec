"""Imports point down only: the rooms of the house, and what each may know."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import pytest

from tests.kit.arrows import graph, imports, modules

HOUSE = {
    "internvl_llm": (
        ("__init__", "langchain_decisions"),
        ("langchain", "llama_index"),
        ("chat_options",),
        ("best_of", "grounding"),
        ("engines",),
        ("openai_forms",),
        ("hardware",),
        ("engine",),
        ("request",),
        ("media",),
        ("prompt",),
        ("checkpoints",),
        ("events",),
        ("messages",),
        ("tools", "grammar"),
        ("schema",),
        ("errors", "version", "telemetry"),
        ("names",),
    ),
    "internvl_loaders": (
        ("__init__", "cli"),
        ("langchain", "llama_index", "mcp"),
        ("agents", "records", "evaluate"),
        ("pipeline",),
        ("ground",),
        ("transcribe",),
        ("structure",),
        ("document", "readers"),
        ("render", "running", "running_lines"),
        ("sources", "options"),
        ("values", "content", "folders", "prompts"),
        ("errors",),
    ),
}
"""A package's rooms from its edges down. Those of one line know nothing of each other."""

ONLY = {
    ("torch", "transformers", "accelerate", "bitsandbytes"): (
        "internvl_llm.engines.transformers",
        "internvl_llm.engines.vllm",
        "internvl_llm.engines.lmdeploy",
        "internvl_llm.checkpoints.convert",
        "internvl_llm.checkpoints.tokenizer",
        "internvl_llm.hardware",
    ),
    ("vllm",): ("internvl_llm.engines.vllm",),
    ("lmdeploy",): ("internvl_llm.engines.lmdeploy",),
    ("langchain", "langchain_core", "langchain_community", "langchain_text_splitters", "langgraph"): (
        "internvl_llm.langchain",
        "internvl_loaders.langchain",
    ),
    ("llama_index", "llama_index_instrumentation"): (
        "internvl_llm.llama_index",
        "internvl_loaders.llama_index",
    ),
    ("mcp", "mcp_types"): ("internvl_loaders.mcp",),
    ("httpx",): ("internvl_llm.engines.server",),
    ("typer", "rich", "click"): ("internvl_loaders.cli", "internvl_loaders.evaluate.report"),
}
"""Libraries, and the only rooms that import them."""


def room(module: str) -> tuple[str, str]:
    package, _, rest = module.partition(".")
    return package, rest.partition(".")[0] or "__init__"


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


@pytest.mark.parametrize("package", HOUSE)
def test_every_module_has_its_room(package: str) -> None:
    rooms = [name for line in HOUSE[package] for name in line]
    assert sorted(rooms) == sorted({room(module)[1] for module in modules() if within(module, package)})


def test_arrows_point_down() -> None:
    """Types that only a checker sees count too."""
    floors = {
        (package, name): floor
        for package, lines in HOUSE.items()
        for floor, line in enumerate(lines)
        for name in line
    }
    wrong = [
        f"{module} -> {other}"
        for module in modules()
        for other in sorted(imports(module, types=True) & modules().keys())
        if room(module)[0] == room(other)[0]
        and room(module) != room(other)
        and floors[room(other)] <= floors[room(module)]
    ]
    assert not wrong, "\n".join(wrong)


def test_there_are_no_circles() -> None:
    try:
        TopologicalSorter(graph()).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_the_engine_knows_nothing_of_the_loaders() -> None:
    """Neither by an import nor by a name that something may import later."""
    for module, path in modules().items():
        if within(module, "internvl_llm"):
            assert not any(within(other, "internvl_loaders") for other in imports(module, types=True)), module
            assert "internvl_loaders." not in path.read_text(encoding="utf-8"), module


@pytest.mark.parametrize("libraries", ONLY, ids=lambda libraries: libraries[0])
def test_libraries_stay_in_their_rooms(libraries: tuple[str, ...]) -> None:
    wrong = [
        f"{module}: {name}"
        for module in modules()
        for name in sorted(imports(module, types=True))
        if name.partition(".")[0] in libraries and not any(within(module, home) for home in ONLY[libraries])
    ]
    assert not wrong, "\n".join(wrong)
