"""vLLM in this process: token ids and tiles go in, never messages or its chat template."""

from __future__ import annotations

import os

# Read once, when vLLM is imported. It would write to standard output, where answers go.
for _name, _value in {
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_DO_NOT_TRACK": "1",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    "VLLM_LOGGING_LEVEL": "WARNING",
}.items():
    os.environ.setdefault(_name, _value)
