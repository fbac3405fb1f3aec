"""vLLM's own parser reads the commands that we write for it."""

from __future__ import annotations

import pytest

pytest.importorskip("vllm")

from internvl_llm.checkpoints.family import FAMILY
from internvl_loaders.cli.serve import commands, plan

pytestmark = pytest.mark.servers


def test_every_command_is_read() -> None:
    from vllm.entrypoints.launchers.cli_args import make_arg_parser
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    parser = make_arg_parser(FlexibleArgumentParser())
    for member in FAMILY:
        over = plan(member, 16, 80 * 10**9)
        vllm = commands(over)[0]
        (_, _, model), *options = vllm.words
        read = parser.parse_args([model, *(word for words in options for word in words)])
        assert read.model_tag == member.native
        assert read.served_model_name == [member.name]
        assert read.max_model_len == member.context
        assert (read.tensor_parallel_size, read.data_parallel_size) == (
            over.split.tensor_parallel,
            over.split.data_parallel,
        )
        assert read.limit_mm_per_prompt == {"image": 64, "video": 0}
        assert read.trust_request_mm_kwargs and read.enable_prompt_tokens_details
        assert read.tool_call_parser == (None if member.dialect == "none" else member.dialect)
