"""What a spec says, as arguments of vLLM's engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vllm.config import StructuredOutputsConfig
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.platforms import current_platform

from internvl_llm.engine import EngineSpec
from internvl_llm.engines.token_streams import Described, keeps_prefixes
from internvl_llm.engines.vllm import original
from internvl_llm.errors import PlacementError
from internvl_llm.hardware.footprint import footprint, of_settings
from internvl_llm.hardware.serving import MEMORY_SHARE, Split, split


@dataclass(frozen=True, slots=True)
class Settings:
    arguments: AsyncEngineArgs
    details: tuple[tuple[str, str], ...]


def settings(spec: EngineSpec, described: Described) -> Settings:
    """Raises OptionError or PlacementError."""
    on_cpu = current_platform.device_type == "cpu"
    over = _split(spec, described, on_cpu)
    arguments: dict[str, Any] = {
        "model": str(described.folder),
        "dtype": spec.dtype,
        "max_model_len": described.prompting.context_tokens,
        "tensor_parallel_size": over.tensor_parallel,
        "data_parallel_size": over.data_parallel,
        "limit_mm_per_prompt": {"video": 0},
        # Tiles are given ready, so there is nothing that it processed to be kept.
        "mm_processor_cache_gb": 0,
        "enable_prefix_caching": keeps_prefixes(spec),
        "structured_outputs_config": StructuredOutputsConfig(backend="guidance"),
        "disable_log_stats": True,
        "trust_remote_code": False,
        # Compilation takes minutes on a CPU.
        "enforce_eager": on_cpu,
    }
    if described.format == "original":
        original.register()
        if over.tensor_parallel > 1:
            arguments["mm_encoder_tp_mode"] = "data"
    optional = {
        "gpu_memory_utilization": spec.memory_share,
        "kv_cache_memory_bytes": spec.kv_bytes,
        "max_num_seqs": spec.max_batch,
        "max_num_batched_tokens": spec.prefill_chunk,
    }
    arguments |= {name: value for name, value in optional.items() if value is not None}
    if spec.draft_tokens:
        arguments["speculative_config"] = {
            "method": "ngram",
            "num_speculative_tokens": spec.draft_tokens,
            "prompt_lookup_max": 4,
            "prompt_lookup_min": 2,
        }
    return Settings(
        AsyncEngineArgs(**arguments),
        (
            ("device", f"{over}: {over.reason}"),
            ("dtype", spec.dtype),
            ("drafts", f"{spec.draft_tokens} tokens" if spec.draft_tokens else "none"),
        ),
    )


def _split(spec: EngineSpec, described: Described, on_cpu: bool) -> Split:
    asked = spec.tensor_parallel, spec.replicas
    if on_cpu or any(asked):
        return Split(spec.tensor_parallel or 1, spec.replicas or 1, "asked for" if any(asked) else "one CPU")
    count = current_platform.device_count()
    memory = [current_platform.get_device_total_memory(index) for index in range(count)]
    if not memory:
        raise PlacementError("vLLM sees no GPU", remedy="See CUDA_VISIBLE_DEVICES and `internvl check`")
    model = described.prompting.model
    return split(
        footprint(described.member) if described.member else of_settings(described.config, model),
        described.config["text_config"]["num_attention_heads"],
        memory=min(memory),
        gpus=count,
        share=spec.memory_share or MEMORY_SHARE,
        context=described.prompting.context_tokens,
    )
