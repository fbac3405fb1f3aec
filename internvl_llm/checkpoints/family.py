"""The InternVL3 and InternVL3.5 checkpoints: hub ids, shapes, memory.

Shapes come from the published configs of the checkpoints and of the language models they are built on
(Qwen2.5, Qwen3, InternLM3, GPT-OSS), and parameter counts from the shapes alone. Not verified against the
hub: the vocabulary of InternVL3-9B (InternLM3's is used; it shifts the size by under 0.1 %), the vocabulary
of GPT-OSS-20B-A4B-Preview (GPT-OSS's is used), and that `OpenGVLab/InternVL3-9B-hf` exists.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from internvl_llm.errors import OptionError

Precision = Literal["bf16", "int8", "int4"]
Dialect = Literal["hermes", "internlm", "none"]
Architecture = Literal["qwen2", "qwen3", "qwen3_moe", "gpt_oss", "llama"]

BYTES_PER_VALUE: Mapping[str, float] = {"bf16": 2.0, "int8": 1.0, "int4": 0.5625}
"""A quantised linear weight; int4 is NF4 with one fp32 scale per 64 values."""


@dataclass(frozen=True, slots=True)
class Vision:
    """An InternViT: 448 px tiles, 14 px patches, 1024 patches and a class token a tile."""

    layers: int
    hidden: int
    heads: int
    intermediate: int
    norm: Literal["layer_norm", "rms_norm"]
    qkv_bias: bool
    qk_norm: bool
    image: int = 448
    patch: int = 14

    @property
    def positions(self) -> int:
        return (self.image // self.patch) ** 2 + 1

    @property
    def parameters(self) -> int:
        hidden, inner = self.hidden, self.intermediate
        norms = 2 * hidden * (2 if self.norm == "layer_norm" else 1) + (2 * hidden if self.qk_norm else 0)
        attention = 4 * hidden * hidden + hidden + (3 * hidden if self.qkv_bias else 0)
        layer = attention + 2 * hidden * inner + inner + hidden + norms + 2 * hidden
        patches = 3 * self.patch * self.patch * hidden + hidden
        return self.layers * layer + patches + hidden * (1 + self.positions)


@dataclass(frozen=True, slots=True)
class Text:
    """A decoder; `intermediate` is one expert's width where there are experts."""

    architecture: Architecture
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocabulary: int
    context: int
    tied: bool = False
    experts: int = 0
    experts_per_token: int = 0

    @property
    def layer_linear(self) -> int:
        """Weights of one layer that bitsandbytes quantises: those in a `Linear`, which experts are not."""
        attention = self.hidden * self.head_dim * 2 * (self.heads + self.kv_heads)
        return attention if self.experts else attention + 3 * self.hidden * self.intermediate

    @property
    def layer_other(self) -> int:
        """Parameters of one layer that no precision but bf16 holds: norms, biases, routers, experts."""
        hidden, inner = self.hidden, self.intermediate
        queries, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        other = 2 * hidden
        if self.architecture == "qwen2":
            other += queries + 2 * keys
        if self.architecture in ("qwen3", "qwen3_moe"):
            other += 2 * self.head_dim
        if self.architecture == "qwen3_moe":
            other += self.experts * (hidden + 3 * hidden * inner)
        if self.architecture == "gpt_oss":
            biases = queries + 2 * keys + hidden + self.heads
            other += biases + self.experts * (hidden + 1 + 3 * hidden * inner + 2 * inner + hidden)
        return other

    @property
    def embedding(self) -> int:
        return self.vocabulary * self.hidden

    @property
    def parameters(self) -> int:
        layers = self.layers * (self.layer_linear + self.layer_other)
        return layers + self.hidden + self.embedding * (1 if self.tied else 2)

    def layer_bytes(self, precision: Precision = "bf16") -> int:
        return round(self.layer_linear * BYTES_PER_VALUE[precision]) + 2 * self.layer_other

    @property
    def kv_bytes_per_layer(self) -> int:
        """Keys and values of one token in one layer, bf16."""
        return 2 * self.kv_heads * self.head_dim * 2


@dataclass(frozen=True, slots=True)
class Member:
    """One checkpoint: `original` is its InternVLChat repository, `native` the one in transformers' format."""

    name: str
    original: str
    native: str
    vision: Vision
    text: Text
    dialect: Dialect

    @property
    def projector(self) -> int:
        wide, hidden = self.vision.hidden * 4, self.text.hidden
        return 2 * wide + wide * hidden + hidden + hidden * hidden + hidden

    @property
    def parameters(self) -> int:
        return self.vision.parameters + self.projector + self.text.parameters

    def weight_bytes(self, precision: Precision = "bf16") -> int:
        """Bytes of the weights; vision, projector, embeddings and head are bf16 in every precision."""
        text = self.text
        kept = self.vision.parameters + self.projector + text.hidden
        kept += text.embedding * (1 if text.tied else 2)
        return 2 * kept + text.layers * text.layer_bytes(precision)

    @property
    def kv_bytes_per_token(self) -> int:
        """bf16, all layers; an upper bound for GPT-OSS, half of whose layers keep 128 tokens only."""
        return self.text.layers * self.text.kv_bytes_per_layer

    @property
    def context(self) -> int:
        """Tokens the language model's config allows, images included."""
        return self.text.context

    def config(self) -> dict[str, Any]:
        """The shapes as a native `InternVLConfig`; rotary settings and token ids are left at its defaults."""
        vision, text = self.vision, self.text
        experts: dict[str, Any] = {}
        if text.architecture == "qwen3_moe":
            experts = {"num_experts": text.experts, "moe_intermediate_size": text.intermediate}
        elif text.architecture == "gpt_oss":
            experts = {"num_local_experts": text.experts}
        if text.experts:
            experts["num_experts_per_tok"] = text.experts_per_token
        return {
            "model_type": "internvl",
            "architectures": ["InternVLForConditionalGeneration"],
            "vision_config": {
                "model_type": "internvl_vision",
                "num_hidden_layers": vision.layers,
                "hidden_size": vision.hidden,
                "num_attention_heads": vision.heads,
                "intermediate_size": vision.intermediate,
                "norm_type": vision.norm,
                "attention_bias": vision.qkv_bias,
                "use_qk_norm": vision.qk_norm,
                "image_size": [vision.image, vision.image],
                "patch_size": [vision.patch, vision.patch],
            },
            "text_config": {
                "model_type": text.architecture,
                "num_hidden_layers": text.layers,
                "hidden_size": text.hidden,
                "num_attention_heads": text.heads,
                "num_key_value_heads": text.kv_heads,
                "head_dim": text.head_dim,
                "intermediate_size": text.intermediate,
                "vocab_size": text.vocabulary,
                "max_position_embeddings": text.context,
                "tie_word_embeddings": text.tied,
                **experts,
            },
            "image_seq_length": (vision.positions - 1) // 4,
            "tie_word_embeddings": text.tied,
        }


VIT_300M = Vision(24, 1024, 16, 4096, "layer_norm", qkv_bias=True, qk_norm=False)
VIT_6B = Vision(45, 3200, 25, 12800, "rms_norm", qkv_bias=False, qk_norm=True)


def _qwen2(layers: int, hidden: int, heads: int, kv_heads: int, intermediate: int) -> Text:
    return Text("qwen2", layers, hidden, heads, kv_heads, hidden // heads, intermediate, 151_674, 32_768)


def _qwen3(layers: int, hidden: int, heads: int, intermediate: int) -> Text:
    return Text("qwen3", layers, hidden, heads, 8, 128, intermediate, 151_936, 40_960)


def _qwen3_moe(layers: int, hidden: int, heads: int, intermediate: int) -> Text:
    return Text(
        "qwen3_moe",
        layers,
        hidden,
        heads,
        4,
        128,
        intermediate,
        151_936,
        40_960,
        experts=128,
        experts_per_token=8,
    )


_INTERNLM3 = Text("llama", 48, 4096, 32, 2, 128, 10_240, 128_512, 32_768)
_GPT_OSS = Text("gpt_oss", 24, 2880, 64, 8, 64, 2880, 201_088, 131_072, experts=32, experts_per_token=4)


def _internvl3(size: str, vision: Vision, text: Text, dialect: Dialect = "hermes") -> Member:
    original = f"OpenGVLab/InternVL3-{size}"
    return Member(f"InternVL3-{size}", original, f"{original}-hf", vision, text, dialect)


def _internvl35(size: str, vision: Vision, text: Text, dialect: Dialect = "hermes") -> Member:
    original = f"OpenGVLab/InternVL3_5-{size}"
    return Member(f"InternVL3.5-{size}", original, f"{original}-HF", vision, text, dialect)


FAMILY: tuple[Member, ...] = (
    _internvl3("1B", VIT_300M, _qwen2(24, 896, 14, 2, 4864)),
    _internvl3("2B", VIT_300M, _qwen2(28, 1536, 12, 2, 8960)),
    _internvl3("8B", VIT_300M, _qwen2(28, 3584, 28, 4, 18_944)),
    _internvl3("9B", VIT_300M, _INTERNLM3, "internlm"),
    _internvl3("14B", VIT_300M, _qwen2(48, 5120, 40, 8, 13_824)),
    _internvl3("38B", VIT_6B, _qwen2(64, 5120, 40, 8, 27_648)),
    _internvl3("78B", VIT_6B, _qwen2(80, 8192, 64, 8, 29_568)),
    _internvl35("1B", VIT_300M, _qwen3(28, 1024, 16, 3072)),
    _internvl35("2B", VIT_300M, _qwen3(28, 2048, 16, 6144)),
    _internvl35("4B", VIT_300M, _qwen3(36, 2560, 32, 9728)),
    _internvl35("8B", VIT_300M, _qwen3(36, 4096, 32, 12_288)),
    _internvl35("14B", VIT_300M, _qwen3(40, 5120, 40, 17_408)),
    _internvl35("38B", VIT_6B, _qwen3(64, 5120, 64, 25_600)),
    _internvl35("30B-A3B", VIT_300M, _qwen3_moe(48, 2048, 32, 768)),
    _internvl35("241B-A28B", VIT_6B, _qwen3_moe(94, 4096, 64, 1536)),
    _internvl35("GPT-OSS-20B-A4B-Preview", VIT_300M, _GPT_OSS, "none"),
)
"""Smallest first within a generation, mixtures of experts last."""


def _key(name: str) -> str:
    """One spelling for a name: lower case, `3_5` as `3.5`, without OpenGVLab as owner and the format."""
    key = name.strip().lower().removeprefix("opengvlab/").replace("_", ".")
    return key.removesuffix("-hf")


def _spellings() -> dict[str, Member]:
    """Every accepted key; a bare size means InternVL3, or InternVL3.5 where only that has it."""
    table: dict[str, Member] = {}
    for one in FAMILY:
        key = _key(one.name)
        short = key.removesuffix("-preview")
        for full in (key, short, short.replace("gpt-oss-", "")):
            for spelling in (full, full.removeprefix("internvl"), full.partition("-")[2]):
                table.setdefault(spelling, one)
    return table


_MEMBERS = _spellings()


def find(name: str) -> Member | None:
    """The member that `name` means, in any case, either format, or short (`8B`); None when it is none."""
    return _MEMBERS.get(_key(name))


def member(name: str) -> Member:
    """Like `find`, but an unknown name is an `OptionError` that lists the family."""
    found = find(name)
    if found is not None:
        return found
    near = difflib.get_close_matches(_key(name), list(_MEMBERS), n=1, cutoff=0.5)
    hint = f"Did you mean {_MEMBERS[near[0]].name}? " if near else ""
    raise OptionError(
        f"{name!r} is no InternVL3 or InternVL3.5 checkpoint",
        remedy=f"{hint}Choose one of {', '.join(one.name for one in FAMILY)}, or give a local folder",
    )


def hub_id(name: str) -> str:
    """The repository in the native transformers format of the member that `name` means."""
    return member(name).native
