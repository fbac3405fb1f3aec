"""The config of OpenGVLab's own format, which vLLM and transformers know only from code in the checkpoint."""

from __future__ import annotations

from typing import Any, ClassVar

from transformers import AutoConfig, PretrainedConfig

from internvl_llm.checkpoints.convert import TEXT_TYPES


class InternVLChatConfig(PretrainedConfig):  # type: ignore[misc]
    """As `configuration_internvl_chat.py` of the checkpoints reads it, of a language part that transformers
    has a config for."""

    model_type = "internvl_chat"
    is_composition = True
    attribute_map: ClassVar[dict[str, str]] = {}

    def __init__(
        self,
        vision_config: dict[str, Any] | None = None,
        llm_config: dict[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        text = dict(llm_config or {})
        named = (text.get("architectures") or ["Qwen2ForCausalLM"])[0]
        text.pop("auto_map", None)
        text["model_type"] = TEXT_TYPES[named]
        self.vision_config = PretrainedConfig(**(vision_config or {}))
        self.text_config = AutoConfig.for_model(**text)
        self.llm_config = self.text_config
        settings.pop("auto_map", None)
        super().__init__(**settings)

    def get_text_config(self, *_: Any, **__: Any) -> Any:
        return self.text_config


def register() -> None:
    AutoConfig.register(InternVLChatConfig.model_type, InternVLChatConfig, exist_ok=True)
