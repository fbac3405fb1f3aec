"""What our engines call is there in the releases of vLLM and LMDeploy that were recorded."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

from tests.kit.recorded import ROOT, calls, imported, refused, signatures, told

PACKAGES = {name: ROOT / "internvl_llm" / "engines" / name for name in ("vllm", "lmdeploy")}
INSTANCES = {"vllm.platforms.current_platform": "vllm.platforms.cuda.CudaPlatformBase"}
"""Objects, by what they are."""


def named(dotted: str) -> str:
    return INSTANCES.get(dotted, dotted)


@pytest.mark.parametrize("library", PACKAGES)
def test_every_name_is_there(library: str) -> None:
    for path in sorted(PACKAGES[library].rglob("*.py")):
        for _, dotted in imported(ast.parse(path.read_text(encoding="utf-8")), library):
            assert told(named(dotted)), (path.name, dotted)


@pytest.mark.parametrize("library", PACKAGES)
def test_every_call_fits(library: str) -> None:
    made = list(calls(PACKAGES[library], library))
    assert len(made) >= 2
    for file, dotted, positional, keywords in made:
        name, _, method = dotted.partition(":")
        known = told(named(name))
        parameters = known["methods"][method] if method else known["parameters"]
        assert refused(parameters, positional, keywords) is None, (file, dotted)


ATTRIBUTES = {
    "vllm.outputs.RequestOutput": ("outputs", "prompt_token_ids", "num_cached_tokens"),
    "vllm.outputs.CompletionOutput": ("token_ids", "logprobs", "finish_reason"),
    "vllm.logprobs.Logprob": ("logprob",),
    "vllm.v1.engine.async_llm.AsyncLLM": ("vllm_config", "input_processor", "generate", "shutdown"),
    "vllm.v1.engine.input_processor.InputProcessor": ("mm_encoder_cache_size",),
    "vllm.sampling_params.SamplingParams": ("max_tokens", "seed", "clone"),
    "vllm.sampling_params.RequestOutputKind": ("DELTA",),
    "vllm.platforms.cuda.CudaPlatformBase": (*("device_type", "device_count", "get_device_total_memory"),),
    "vllm.model_executor.models.interns1.InternS1MultiModalProcessor": (
        *("pixel_values", "image_num_patches", "image_token_id"),
    ),
    "vllm.model_executor.models.internvl.BaseInternVLMultiModalProcessor": (
        *("pixel_values_flat", "image_num_patches", "image_token_id"),
    ),
    "lmdeploy.pipeline.Pipeline": (
        *("async_engine", "internal_thread", "backend_config", "session", "close"),
    ),
    "lmdeploy.serve.core.vl_async_engine.VLAsyncEngine": ("backend", "vl_encoder", "preprocess", "generate"),
    "lmdeploy.vl.engine.ImageEncoder": ("mm_feature_dtype",),
    "lmdeploy.serve.core.async_engine.PreprocessedRequest": ("inputs",),
    "lmdeploy.serve.core.async_engine.GenOut": (
        *("input_token_len", "token_ids", "logprobs", "finish_reason", "cached_tokens"),
    ),
    "lmdeploy.serve.core.exceptions.RequestError": ("code",),
    "lmdeploy.serve.core.exceptions.ErrorCode": ("INVALID_REQUEST",),
    "lmdeploy.vl.model.internvl.InternVLVisionModel": (
        *("pixel_values", "image_tokens", "image_token_id", "offset"),
    ),
    "lmdeploy.turbomind.models.internvl.InternVitVisionModel": ("pixel_values", "image_tokens", "offset"),
    "lmdeploy.pytorch.models.internvl.InternVLInputProcessor": (
        *("pixel_values", "image_tokens", "image_token_id", "offset"),
    ),
}
"""What we read or set of their objects, and the keys of what both sides hand over as dictionaries."""


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_every_attribute_is_there(name: str) -> None:
    known = told(name)
    there = {*known["fields"], *known["attributes"], *known["methods"], *known.get("parameters", ())}
    assert set(ATTRIBUTES[name]) <= there


def test_the_extras_allow_what_was_recorded() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    for library in PACKAGES:
        (required,) = extras[library]
        low, high = re.fullmatch(rf"{library}>=([\d.]+),<([\d.]+)", required).groups()  # type: ignore[union-attr]
        version = signatures()[library]["version"]
        assert _key(low) <= _key(version) < _key(high)
        assert signatures()[library]["licence"] == "Apache-2.0"


def _key(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def test_the_recorder_is_there() -> None:
    assert (Path(ROOT) / ".ci" / "signatures").stat().st_mode & 0o100
