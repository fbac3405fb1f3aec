"""Telemetry of the libraries we use: switched off before any of them is imported."""

from __future__ import annotations

import os

SWITCHES = {
    # onnxruntime 1.29 and newer, on every system; read once, when the library is initialised
    "ORT_DISABLE_TELEMETRY": "1",
    # huggingface_hub, and transformers by it; read once, when it is imported
    "HF_HUB_DISABLE_TELEMETRY": "1",
}


def switch_off() -> None:
    """In this process and those it starts, unless the environment says otherwise."""
    for name, value in SWITCHES.items():
        os.environ.setdefault(name, value)
