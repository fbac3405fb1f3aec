"""What a model weighs, part by part, and what it needs while it works; from shapes alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from internvl_llm.checkpoints.family import BYTES_PER_VALUE, Member, Precision

OVERHEAD = 1_000_000_000
"""Bytes of a GPU that no tensor of ours gets: CUDA context, kernels, fragmentation."""

EMBEDDINGS = "model.language_model.embed_tokens"
VISION = "model.vision_tower"


@dataclass(frozen=True, slots=True)
class Workload:
    """What has to fit beside the weights: tokens with keys and values; tokens and tiles worked on at once."""

    tokens: int = 8192
    prefill: int = 4096
    tiles: int = 13


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes of the weights of every part, and bytes that a token or a tile needs while it is worked on."""

    name: str
    precision: Precision
    vision: int
    projector: int
    embeddings: int
    layers: tuple[int, ...]
    norm: int
    head: int
    tied: bool
    kv_per_layer: int
    tile_work: int
    token_work: int

    @property
    def modules(self) -> tuple[str, ...]:
        """The module names that a device map of the native class has to place."""
        text = "model.language_model"
        layers = (f"{text}.layers.{index}" for index in range(len(self.layers)))
        first = (VISION, "model.multi_modal_projector", EMBEDDINGS, f"{text}.rotary_emb")
        return (*first, *layers, f"{text}.norm", "lm_head")

    def kept(self, work: Workload) -> dict[str, int]:
        """Bytes of each module for as long as it is loaded: its weights, a layer's keys and values."""
        layers = [size + work.tokens * self.kv_per_layer for size in self.layers]
        sizes = (self.vision, self.projector, self.embeddings, 0, *layers, self.norm, self.head)
        return dict(zip(self.modules, sizes, strict=True))

    def passing(self, module: str, work: Workload) -> int:
        """Bytes a module needs while it runs; modules on one device use the same bytes, one after another."""
        return work.tiles * self.tile_work if module == VISION else work.prefill * self.token_work


def footprint(member: Member, precision: Precision = "bf16") -> Footprint:
    vision, text = member.vision, member.text
    return Footprint(
        member.name,
        precision,
        vision=2 * vision.parameters,
        projector=2 * member.projector,
        embeddings=2 * text.embedding,
        layers=(text.layer_bytes(precision),) * text.layers,
        norm=2 * text.hidden,
        head=0 if text.tied else 2 * text.embedding,
        tied=text.tied,
        kv_per_layer=text.kv_bytes_per_layer,
        tile_work=vision.positions * _work(vision.hidden, vision.intermediate),
        token_work=_work(text.hidden, text.intermediate * max(1, text.experts_per_token)),
    )


def of_settings(settings: Mapping[str, Any], name: str, precision: Precision = "bf16") -> Footprint:
    """Of the model that a native config describes."""
    import torch
    from transformers import InternVLConfig, InternVLForConditionalGeneration

    with torch.device("meta"):
        model = InternVLForConditionalGeneration(InternVLConfig.from_dict(dict(settings)))
    return measure(model, name, precision)


def measure(model: Any, name: str, precision: Precision = "bf16") -> Footprint:
    """The footprint of a native model, on any device, the meta device included."""
    from torch import nn

    def size(module: Any, weight: float = 2.0) -> int:
        linear = {id(one.weight) for one in module.modules() if isinstance(one, nn.Linear)}
        counts = ((one.numel(), id(one) in linear) for one in module.parameters())
        return sum(round(count * weight) if quantised else 2 * count for count, quantised in counts)

    config = model.config
    vision, text = config.vision_config, config.text_config
    inner, language = model.model, model.model.language_model
    head_dim = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    kv_heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    width = getattr(text, "moe_intermediate_size", text.intermediate_size)
    tied = model.lm_head.weight is language.embed_tokens.weight
    return Footprint(
        name,
        precision,
        vision=size(inner.vision_tower),
        projector=size(inner.multi_modal_projector),
        embeddings=size(language.embed_tokens),
        layers=tuple(size(layer, BYTES_PER_VALUE[precision]) for layer in language.layers),
        norm=size(language.norm),
        head=0 if tied else size(model.lm_head),
        tied=tied,
        kv_per_layer=2 * kv_heads * head_dim * 2,
        tile_work=((vision.image_size[0] // vision.patch_size[0]) ** 2 + 1)
        * _work(vision.hidden_size, vision.intermediate_size),
        token_work=_work(text.hidden_size, width * (getattr(text, "num_experts_per_tok", None) or 1)),
    )


def _work(hidden: int, intermediate: int) -> int:
    """Bytes that one position needs at once in a layer, in 16 bits: residuals and attention, then the MLP."""
    return 2 * (8 * hidden + 3 * intermediate)
