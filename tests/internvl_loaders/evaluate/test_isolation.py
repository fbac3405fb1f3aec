import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))

from isolation import IsolatedReader, ToolError

TOOLS = """
import os, time
from internvl_loaders.evaluate import PageReading

def good():
    print("noise on standard output")
    def read(path, password, lang):
        if path.name == "hang": time.sleep(60)
        if path.name == "crash": os._exit(1)
        if path.name == "raise": raise ValueError("no")
        return [PageReading(number=1, text=f"{path.name} {password} {lang} {os.getpid()}")]
    return read

def broken():
    raise ImportError("not installed")

TOOLS = {"good": good, "broken": broken}
"""


@pytest.fixture
def fake_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tools.py").write_text(TOOLS)
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.usefixtures("fake_tools")
def test_hang_and_crash_are_failures_of_one_document() -> None:
    with IsolatedReader("good") as reader:
        first = reader.read(Path("a"), "pw", "en", 30).text.split()
        assert first[:3] == ["a", "pw", "en"]
        assert reader.read(Path("raise"), None, "", 30).error == "ValueError: no"
        assert reader.read(Path("b"), None, "", 30).text.split()[-1] == first[-1]
        assert reader.read(Path("hang"), None, "", 0.2).error == "no answer after 0 s"
        after = reader.read(Path("c"), None, "", 30).text.split()
        assert after[-1] != first[-1]
        assert reader.read(Path("crash"), None, "", 30).error == "the process died"


@pytest.mark.usefixtures("fake_tools")
def test_tool_that_does_not_load_stops_the_comparison() -> None:
    with pytest.raises(ToolError, match="broken: ImportError: not installed"), IsolatedReader("broken"):
        pass
