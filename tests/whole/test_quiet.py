"""A first answer writes nothing but the answer: no library's warning reaches the user."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from tests.kit.checkpoints import built

SCRIPT = """
import sys

import PIL.Image

from internvl_llm import Image, Message, Request, Sampling, Tool, open_engine
from internvl_llm.grammar import JsonObject

engine = open_engine(sys.argv[1], device="cpu")
picture = Image(PIL.Image.new("RGB", (500, 900)))
tool = Tool("find", "", {"type": "object"})
requests = [
    Request(Message.user(picture, "What is this?"), Sampling(max_tokens=3)),
    Request(Message.user("And?"), Sampling(max_tokens=3, temperature=0.5, seed=1), grammar=JsonObject()),
    Request(Message.user("Call."), Sampling(max_tokens=3), tools=[tool], tool_choice="any"),
]
print(len(engine.generate(requests)))
engine.close()
"""


def test_a_first_answer_warns_of_nothing() -> None:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    env |= {"TQDM_DISABLE": "1", "HF_HUB_OFFLINE": "1"}  # the progress of loading is meant to be seen
    command = [sys.executable, "-c", SCRIPT, str(built("tiny"))]
    ran = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "3\n", "")
