"""Local folders in OpenGVLab's InternVLChat format, loaded as transformers' native class.

Only names and shapes are mapped: no code of the folder runs. Tensors are read from their safetensors files
one by one, when the native class asks for them, so dtype, device map and quantisation work as ever.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from internvl_llm.checkpoints.files import (
    NATIVE,
    Format,
    architecture,
    as_object,
    broken,
    read_json,
    special_tokens,
    tensor_files,
)
from internvl_llm.errors import CheckpointError

_IMAGE_TOKEN, _END_TOKEN = "<IMG_CONTEXT>", "<|im_end|>"

# Original class of the language model -> native model type.
TEXT_TYPES = {
    "Qwen2ForCausalLM": "qwen2",
    "Qwen3ForCausalLM": "qwen3",
    "Qwen3MoeForCausalLM": "qwen3_moe",
    "GptOssForCausalLM": "gpt_oss",
    "LlamaForCausalLM": "llama",
    "InternLM2ForCausalLM": "llama",
    "InternLM3ForCausalLM": "llama",
}

# The settings of a language model that shape its computation; the rest of llm_config is about training.
# fmt: off
_TEXT_KEYS = (
    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
    "num_key_value_heads", "head_dim", "hidden_act", "max_position_embeddings", "initializer_range",
    "rms_norm_eps", "rope_theta", "rope_scaling", "rope_parameters", "vocab_size", "attention_bias",
    "mlp_bias", "attention_dropout", "use_sliding_window", "sliding_window", "max_window_layers",
    "layer_types", "bos_token_id", "eos_token_id", "pad_token_id", "num_experts", "num_local_experts",
    "num_experts_per_tok", "moe_intermediate_size", "norm_topk_prob", "decoder_sparse_step",
    "mlp_only_layers", "swiglu_limit",
)
# fmt: on

_VISION_KEYS = {
    "hidden_size": "hidden_size",
    "num_hidden_layers": "num_hidden_layers",
    "num_attention_heads": "num_attention_heads",
    "intermediate_size": "intermediate_size",
    "image_size": "image_size",
    "patch_size": "patch_size",
    "num_channels": "num_channels",
    "hidden_act": "hidden_act",
    "layer_norm_eps": "layer_norm_eps",
    "norm_type": "norm_type",
    "qkv_bias": "attention_bias",
    "qk_normalization": "use_qk_norm",
}

_LAYER = r"vision_model\.encoder\.layers\.(\d+)\."
_TEXT_LAYER = r"language_model\.model\.layers\.(\d+)\."
_RULES = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"mlp1\.0\.", "model.multi_modal_projector.layer_norm."),
        (r"mlp1\.1\.", "model.multi_modal_projector.linear_1."),
        (r"mlp1\.3\.", "model.multi_modal_projector.linear_2."),
        (r"vision_model\.embeddings\.class_embedding$", "model.vision_tower.embeddings.cls_token"),
        (
            r"vision_model\.embeddings\.position_embedding$",
            "model.vision_tower.embeddings.position_embeddings",
        ),
        (
            r"vision_model\.embeddings\.patch_embedding\.",
            "model.vision_tower.embeddings.patch_embeddings.projection.",
        ),
        (_LAYER + r"attn\.proj\.", r"model.vision_tower.encoder.layer.\1.attention.projection_layer."),
        (_LAYER + r"attn\.", r"model.vision_tower.encoder.layer.\1.attention."),
        (_LAYER + r"norm1\.", r"model.vision_tower.encoder.layer.\1.layernorm_before."),
        (_LAYER + r"norm2\.", r"model.vision_tower.encoder.layer.\1.layernorm_after."),
        (_LAYER + r"ls([12])$", r"model.vision_tower.encoder.layer.\1.lambda_\2"),
        (_LAYER + r"mlp\.", r"model.vision_tower.encoder.layer.\1.mlp."),
        # InternLM2 has names of its own.
        (r"language_model\.output\.", "lm_head."),
        (r"language_model\.model\.tok_embeddings\.", "model.language_model.embed_tokens."),
        (_TEXT_LAYER + r"attention\.wo\.", r"model.language_model.layers.\1.self_attn.o_proj."),
        (_TEXT_LAYER + r"attention\.wqkv\.", r"model.language_model.layers.\1.self_attn.qkv."),
        (_TEXT_LAYER + r"attention_norm\.", r"model.language_model.layers.\1.input_layernorm."),
        (_TEXT_LAYER + r"ffn_norm\.", r"model.language_model.layers.\1.post_attention_layernorm."),
        (_TEXT_LAYER + r"feed_forward\.w1\.", r"model.language_model.layers.\1.mlp.gate_proj."),
        (_TEXT_LAYER + r"feed_forward\.w2\.", r"model.language_model.layers.\1.mlp.down_proj."),
        (_TEXT_LAYER + r"feed_forward\.w3\.", r"model.language_model.layers.\1.mlp.up_proj."),
        (r"language_model\.lm_head\.", "lm_head."),
        (r"language_model\.model\.", "model.language_model."),
    )
]
_COMPUTED = re.compile(r"\.rotary_emb\.inv_freq$")


def native_settings(folder: Path, found: Format) -> dict[str, Any]:
    """The config of a local checkpoint of either format, as a native one."""
    config = read_json(folder, "config.json") or {}
    if found == "native":
        return config
    return native_config(config, special_tokens(folder), tensor_files(folder), folder)


def native_config(
    config: Mapping[str, Any], tokens: Mapping[str, int], names: Container[str], folder: Path
) -> dict[str, Any]:
    """A native config of an original one; `tokens` are ids of special tokens, `names` the tensors."""
    text = as_object(folder, config.get("llm_config"), "llm_config of config.json")
    vision = as_object(folder, config.get("vision_config"), "vision_config of config.json")
    kind = architecture(text)[0]
    if kind not in TEXT_TYPES:
        raise broken(folder, f"its language model {kind!r} is unknown", f"Known are {', '.join(TEXT_TYPES)}")
    if config.get("ps_version", "v1") != "v2":
        raise broken(folder, "it shuffles pixels as the first InternVL did", "Use an InternVL3 checkpoint")
    dtype = config.get("torch_dtype") or config.get("dtype") or "bfloat16"
    if dtype not in ("bfloat16", "float16", "float32"):
        raise broken(folder, f"its weights are in {dtype!r}", "Get the checkpoint in bfloat16")
    if _IMAGE_TOKEN not in tokens:
        raise broken(
            folder,
            f"no tokenizer file names {_IMAGE_TOKEN}",
            "Add tokenizer_config.json or added_tokens.json",
        )
    if bool(text.get("qkv_bias")) != bool(text.get("bias")) and kind == "InternLM3ForCausalLM":
        raise broken(folder, "its attention has biases in some projections only", "Use another checkpoint")
    heads = ("language_model.lm_head.weight", "language_model.output.weight")
    declared = bool(text.get("tie_word_embeddings") or config.get("tie_word_embeddings"))
    tied = declared and not any(name in names for name in heads)
    image = config.get("force_image_size") or vision.get("image_size", 448)
    ratio = config.get("downsample_ratio", 0.5)
    biases = {"attention_bias": True, "mlp_bias": kind == "InternLM3ForCausalLM"} if text.get("bias") else {}
    return {
        "model_type": "internvl",
        "architectures": [NATIVE],
        "dtype": dtype,
        "vision_config": {
            "model_type": "internvl_vision",
            **{new: vision[old] for old, new in _VISION_KEYS.items() if vision.get(old) is not None},
        },
        "text_config": {
            "model_type": TEXT_TYPES[kind],
            **{key: text[key] for key in _TEXT_KEYS if text.get(key) is not None},
            **biases,
            "tie_word_embeddings": tied,
            # Some configs keep the base model's end of text, at which a chat does not end.
            **({"eos_token_id": tokens[_END_TOKEN]} if _END_TOKEN in tokens else {}),
        },
        "image_token_id": tokens[_IMAGE_TOKEN],
        "image_seq_length": int((image // vision.get("patch_size", 14)) ** 2 * ratio**2),
        "downsample_ratio": ratio,
        "vision_feature_layer": config.get("select_layer", -1),
        "tie_word_embeddings": tied,
    }


@dataclass(frozen=True, slots=True)
class LazyTensor:
    """A native tensor, read when it is indexed, as transformers does with the slices of a file."""

    file: Any
    name: str
    part: Part

    def __getitem__(self, index: Any) -> Any:
        return self.part.of(self.file.get_slice(self.name))[index]


@dataclass(frozen=True, slots=True)
class Part:
    """Which rows of an original tensor make a native one.

    `which` counts queries, keys, values; `grouped` is (key heads, queries a key head, rows a head) where each
    key head's rows stand together: its queries, its key, its value.
    """

    which: int | None = None
    grouped: tuple[int, int, int] | None = None

    def of(self, rows: Any) -> Any:
        if self.which is None:
            return rows[:]
        if self.grouped is None:
            third = rows.get_shape()[0] // 3
            return rows[self.which * third : (self.which + 1) * third]
        heads, queries, size = self.grouped
        whole = rows[:]
        groups = whole.reshape(heads, queries + 2, size, *whole.shape[1:])
        chosen = groups[:, :queries] if self.which == 0 else groups[:, queries - 1 + self.which]
        return chosen.reshape(-1, *whole.shape[1:])


def native_parts(name: str, text: Mapping[str, Any]) -> Iterator[tuple[str, Part]]:
    """The native names of an original tensor, with the part each of them is; none for an unknown tensor."""
    for pattern, replacement in _RULES:
        new, count = re.subn(f"^{pattern.pattern}", replacement, name)
        if count:
            break
    else:
        return
    if ".qkv." not in new:
        yield new, Part()
        return
    grouped = None
    if new.startswith("model.language_model."):
        heads, keys = text["num_attention_heads"], text["num_key_value_heads"]
        grouped = (keys, heads // keys, text.get("head_dim") or text["hidden_size"] // heads)
    for which, letter in enumerate("qkv"):
        yield new.replace(".qkv.", f".{letter}_proj."), Part(which, grouped)


def native_tensors(files: Mapping[str, Path], text: Mapping[str, Any], folder: Path) -> dict[str, LazyTensor]:
    """The tensors of `files` under their native names; one that has none is an error."""
    from safetensors import safe_open

    opened = {path: safe_open(path, framework="pt") for path in set(files.values())}
    tensors: dict[str, LazyTensor] = {}
    for name, path in files.items():
        if _COMPUTED.search(name):
            continue
        parts = list(native_parts(name, text))
        if not parts:
            raise broken(
                folder, f"tensor {name!r} is in no InternVL3 model", "Merge adapters into the weights first"
            )
        tensors |= {new: LazyTensor(opened[path], name, part) for new, part in parts}
    return tensors


def load(folder: Path, **options: Any) -> Any:
    """The native model of a folder in the original format; `options` are those of `from_pretrained`."""
    import torch
    from transformers import InternVLConfig, InternVLForConditionalGeneration

    files = tensor_files(folder)
    original = read_json(folder, "config.json") or {}
    try:
        settings = native_config(original, special_tokens(folder), files, folder)
        config = InternVLConfig.from_dict(settings)
        with torch.device("meta"):
            InternVLForConditionalGeneration(config)
        tensors = native_tensors(files, settings["text_config"], folder)
    except CheckpointError:
        raise
    except Exception as error:  # strict configs and modules raise many types of their own
        raise broken(folder, f"its config.json makes no model ({error})", "Get config.json again") from error
    model, report = InternVLForConditionalGeneration.from_pretrained(
        None,
        config=config,
        state_dict=tensors,
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # reported below, by name
        **{"dtype": settings["dtype"], **options},
    )
    for problem in ("missing", "unexpected", "mismatched"):
        keys = sorted(map(str, report[f"{problem}_keys"]))
        if keys:
            raise broken(
                folder, f"{len(keys)} {problem} tensors, {keys[0]} first", "Get config.json and weights again"
            )
    return model
