"""Tiny random native models, and folders of them in OpenGVLab's InternVLChat format."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

IMAGE_TOKEN, END_TOKEN = 90, 91
VISIONS = {
    "layer_norm": {
        "norm_type": "layer_norm",
        "attention_bias": True,
        "use_qk_norm": False,
        "layer_norm_eps": 1e-4,
    },
    "rms_norm": {"norm_type": "rms_norm", "attention_bias": False, "use_qk_norm": True},
}
TEXTS: dict[str, dict[str, Any]] = {
    "qwen2": {"model_type": "qwen2", "rope_theta": 1e6, "rope_scaling": {"type": "dynamic", "factor": 2.0}},
    "qwen3": {"model_type": "qwen3", "head_dim": 16},
    "qwen3_moe": {
        "model_type": "qwen3_moe",
        "head_dim": 16,
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 24,
    },
    "internlm2": {
        "model_type": "llama",
        "rope_theta": 1e6,
        "rope_scaling": {"type": "dynamic", "factor": 2.0},
    },
    "internlm3": {"model_type": "llama", "head_dim": 16},
    "gpt_oss": {
        "model_type": "gpt_oss",
        "head_dim": 16,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "attention_bias": True,
    },
}
CLASSES = {
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "qwen3_moe": "Qwen3MoeForCausalLM",
    "internlm2": "InternLM2ForCausalLM",
    "internlm3": "InternLM3ForCausalLM",
    "gpt_oss": "GptOssForCausalLM",
}


def native_model(text: str, vision: str, *, tied: bool = False) -> Any:
    import torch
    from transformers import InternVLConfig, InternVLForConditionalGeneration

    config = InternVLConfig.from_dict(
        {
            "vision_config": {
                "model_type": "internvl_vision",
                "hidden_size": 32,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "intermediate_size": 48,
                "image_size": [56, 56],
                "patch_size": [14, 14],
                **VISIONS[vision],
            },
            "text_config": {
                "hidden_size": 32,
                "intermediate_size": 48,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "num_key_value_heads": 2,
                "vocab_size": 96,
                "max_position_embeddings": 512,
                "rms_norm_eps": 1e-3,
                "tie_word_embeddings": tied,
                **TEXTS[text],
            },
            "image_token_id": IMAGE_TOKEN,
            "image_seq_length": 4,
            "tie_word_embeddings": tied,
        }
    )
    torch.manual_seed(len(text) + len(vision))
    model = InternVLForConditionalGeneration(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # norms and biases too, so that none can be mistaken
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def write_original(folder: Path, model: Any, text: str, *, shards: int = 1) -> dict[str, Any]:
    """The model's tensors and config in the original format; returns the tensors."""
    from safetensors.torch import save_file

    vision, language = model.config.vision_config, model.config.text_config
    renamed = {"attention_bias": "qkv_bias", "use_qk_norm": "qk_normalization", "norm_type": "norm_type"}
    renamed["layer_norm_eps"] = "layer_norm_eps"
    renamed |= {
        key: key for key in ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    }
    config = {
        "architectures": ["InternVLChatModel"],
        "model_type": "internvl_chat",
        "auto_map": {"AutoModel": "modeling_internvl_chat.InternVLChatModel"},
        "downsample_ratio": 0.5,
        "force_image_size": 56,
        "ps_version": "v2",
        "select_layer": -1,
        "torch_dtype": "float32",
        "tie_word_embeddings": language.tie_word_embeddings,
        "vision_config": {
            "architectures": ["InternVisionModel"],
            "image_size": 56,
            "patch_size": 14,
            "drop_path_rate": 0.1,
            **{old: getattr(vision, new) for new, old in renamed.items()},
        },
        "llm_config": {
            "architectures": [CLASSES[text]],
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "vocab_size": 96,
            "max_position_embeddings": 512,
            "bias": False,
            "rms_norm_eps": 1e-3,
            "eos_token_id": 7,
            "tie_word_embeddings": language.tie_word_embeddings,
            "use_bfloat16": True,
            **{key: value for key, value in TEXTS[text].items() if key != "model_type"},
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    added = {"<IMG_CONTEXT>": IMAGE_TOKEN, "<|im_end|>": END_TOKEN}
    (folder / "added_tokens.json").write_text(json.dumps(added))
    (folder / "modeling_internvl_chat.py").write_text("raise RuntimeError('remote code must never run')")
    tensors = original_tensors(model, text)
    names = sorted(tensors)
    if shards == 1:
        save_file(tensors, folder / "model.safetensors")
        return tensors
    where = {
        name: f"model-{index % shards + 1:05}-of-{shards:05}.safetensors" for index, name in enumerate(names)
    }
    for file in set(where.values()):
        save_file({name: tensors[name] for name in names if where[name] == file}, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))
    return tensors


def original_tensors(model: Any, text: str) -> dict[str, Any]:
    import torch

    state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    if model.config.tie_word_embeddings:
        del state["lm_head.weight"]
    fused = "mlp.experts.gate_up_proj" if text == "qwen3_moe" else None
    for name in [name for name in state if fused and name.endswith(fused)]:
        base = name.removesuffix("gate_up_proj")
        for index, (both, down) in enumerate(
            zip(state.pop(name), state.pop(f"{base}down_proj"), strict=True)
        ):
            gate, up = both.chunk(2)
            parts = {"gate_proj": gate, "up_proj": up, "down_proj": down}
            state |= {f"{base}{index}.{part}.weight": tensor.contiguous() for part, tensor in parts.items()}
    out = {}
    for name in list(state):
        if name not in state:
            continue
        if re.search(r"vision_tower.*q_proj", name) or (text == "internlm2" and "q_proj" in name):
            q, k, v = (state.pop(name.replace("q_proj", f"{letter}_proj")) for letter in "qkv")
            if "vision_tower" in name:
                out[_original(name.replace("q_proj", "qkv"), text)] = torch.cat([q, k, v])
            else:  # each key head's rows together: the queries that share it, its key, its value
                size, rows = 8, []
                for head in range(2):
                    rows += [q[2 * head * size : 2 * (head + 1) * size]]
                    rows += [k[head * size : (head + 1) * size], v[head * size : (head + 1) * size]]
                out[_original(name.replace("q_proj", "wqkv"), text)] = torch.cat(rows)
        else:
            out[_original(name, text)] = state.pop(name)
    return out


_NAMES = {
    "model.multi_modal_projector.layer_norm": "mlp1.0",
    "model.multi_modal_projector.linear_1": "mlp1.1",
    "model.multi_modal_projector.linear_2": "mlp1.3",
    "model.vision_tower": "vision_model",
    "embeddings.cls_token": "embeddings.class_embedding",
    "position_embeddings": "position_embedding",
    "patch_embeddings.projection": "patch_embedding",
    "encoder.layer.": "encoder.layers.",
    "attention.projection_layer": "attn.proj",
    ".attention.": ".attn.",
    "layernorm_before": "norm1",
    "layernorm_after": "norm2",
    "lambda_": "ls",
}
_INTERNLM2 = {
    "lm_head": "output",
    "embed_tokens": "tok_embeddings",
    "self_attn.o_proj": "attention.wo",
    "self_attn.wqkv": "attention.wqkv",
    "mlp.gate_proj": "feed_forward.w1",
    "mlp.down_proj": "feed_forward.w2",
    "mlp.up_proj": "feed_forward.w3",
    "input_layernorm": "attention_norm",
    "post_attention_layernorm": "ffn_norm",
}


def _original(name: str, text: str) -> str:
    if "language_model" in name or name.startswith("lm_head"):
        name = name.replace("model.language_model", "language_model.model")
        name = f"language_model.{name}" if name.startswith("lm_head") else name
        table = _INTERNLM2 if text == "internlm2" else {}
    else:
        table = _NAMES
    for new, old in table.items():
        name = name.replace(new, old)
    return name
