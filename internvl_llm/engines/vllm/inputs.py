"""Prompts as vLLM's engine takes them once they are rendered: its image processors have no part in it.

Tiles are ours, so that a page is cut as for every other engine, and text that looks like a placeholder stays
text. The fields are those of the two model classes that serve InternVL: `pixel_values` is
InternVLForConditionalGeneration's, `pixel_values_flat` InternVLChatModel's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from vllm.inputs import mm_input, tokens_input
from vllm.multimodal.inputs import MultiModalFieldConfig, MultiModalKwargsItems, PlaceholderRange

from internvl_llm.engines.prompting import TokenizedPrompt
from internvl_llm.prompt.encoder import Encoder
from internvl_llm.prompt.segments import IMAGE_CONTEXT
from internvl_llm.prompt.tiling import normalise

if TYPE_CHECKING:
    from internvl_llm.checkpoints.files import Format

_PIXELS: Mapping[Format, str] = {"native": "pixel_values", "original": "pixel_values_flat"}
_TILES = 13
"""Of one item at most: what an image of 12 tiles and its thumbnail is to vLLM."""


class Inputs:
    """Of one model. `encoder_tokens` are those of images that vLLM holds at once: one item is no larger.

    Tiles are seen one by one by the vision tower, so those of a large image are several items without a
    difference to the model.
    """

    def __init__(self, format: Format, encoder: Encoder, dtype: torch.dtype, encoder_tokens: int) -> None:
        self._pixels = _PIXELS[format]
        self._dtype = dtype
        self._tokens_per_tile = encoder.tokens_per_tile
        self._token = encoder.special[IMAGE_CONTEXT]
        self._most = max(1, min(_TILES, encoder_tokens // encoder.tokens_per_tile))

    def of(self, prompt: TokenizedPrompt) -> Mapping[str, Any]:
        if not prompt.images:
            text: Mapping[str, Any] = tokens_input(prompt.ids)
            return text
        tiles, sizes, hashes, places = [], list[int](), list[str](), list[PlaceholderRange]()
        for image, (start, stop) in zip(prompt.images, prompt.spans, strict=True):
            cut = torch.from_numpy(normalise(image.tiles)).to(self._dtype)
            if len(cut) * self._tokens_per_tile != stop - start:
                raise AssertionError(f"{len(cut)} tiles for {stop - start} tokens")
            for first in range(0, len(cut), self._most):
                part = cut[first : first + self._most]
                tiles.append(part)
                sizes.append(len(part))
                hashes.append(hashlib.sha256(f"{image.key} {first} {len(part)}".encode()).hexdigest())
                at = start + first * self._tokens_per_tile
                places.append(PlaceholderRange(offset=at, length=len(part) * self._tokens_per_tile))
        counts = torch.tensor(sizes)
        items = MultiModalKwargsItems.from_hf_inputs(
            {
                self._pixels: torch.cat(tiles),
                "image_num_patches": counts,
                "image_token_id": torch.tensor(self._token),
            },
            {
                self._pixels: MultiModalFieldConfig.flat_from_sizes("image", counts),
                "image_num_patches": MultiModalFieldConfig.batched("image", keep_on_cpu=True),
                "image_token_id": MultiModalFieldConfig.shared("image", len(sizes), keep_on_cpu=True),
            },
        )
        shown: Mapping[str, Any] = mm_input(
            prompt_token_ids=prompt.ids,
            mm_kwargs=items,
            mm_hashes={"image": hashes},
            mm_placeholders={"image": places},
        )
        return shown
