"""Prompts by name, by text and by file; a wording does not change under its name."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from internvl_loaders import ParseOptions, prompts
from internvl_loaders.errors import OptionError

WORDINGS = {
    "markdown-1": "fae64597c77af43e",
    "omnidocbench-1": "27f111fc67282421",
    "logicocr-1": "860056567d46a2e2",
    "boxes-zh-1": "4d95176467ebd14e",
}


@pytest.mark.parametrize("name", prompts.PROMPTS)
def test_a_wording_stays_under_its_name(name: str) -> None:
    assert hashlib.sha256(prompts.PROMPTS[name].encode()).hexdigest()[:16] == WORDINGS[name]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("markdown-1", "markdown-1"),
        (" markdown ", "markdown-1"),
        ("boxes-zh", "boxes-zh-1"),
        ("Read it all.", "Read it all."),
        ("请读", "请读"),
    ],
)
def test_what_is_kept(given: str, kept: str) -> None:
    options = ParseOptions.of(prompt=given)
    assert options.prompt == kept
    assert ParseOptions.of(options, dpi=100).prompt == kept


def test_a_file_is_read_once(tmp_path: Path) -> None:
    file = tmp_path / "prompt.txt"
    file.write_text("Read the page,\nall of it.\n", encoding="utf-8")
    options = ParseOptions.of(prompt=f"@{file}")
    settings = options.page_settings()
    assert settings["prompt"] == "Read the page,\nall of it."
    file.write_text("Something else altogether.", encoding="utf-8")
    assert ParseOptions.of(options, dpi=100).prompt == options.prompt
    assert ParseOptions.of(prompt=f"@{file}").page_settings() != settings


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        (b"", "is empty"),
        (b"\xff\xfe\xfa rubbish", "no text in UTF-8"),
        (b"word " * 5000, "more than 20,000"),
        (b"markdown-1", "no prompt 'markdown-1'"),
        (b"@other file", "begins with an @"),
    ],
)
def test_a_file_that_is_no_prompt(tmp_path: Path, content: bytes | None, message: str) -> None:
    file = tmp_path / "prompt.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(OptionError, match="option prompt") as told:
        ParseOptions.of(prompt=f"@{file}")
    assert message in str(told.value) and "prompt.txt" in str(told.value)


@pytest.mark.parametrize("given", ["", "   ", "nonesuch", "@", "@\0", "x " * 20_000])
def test_what_is_no_prompt(given: str) -> None:
    with pytest.raises(OptionError, match="option prompt"):
        ParseOptions.of(prompt=given)
