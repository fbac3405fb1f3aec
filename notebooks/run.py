"""Runs the notebooks and keeps their outputs: `python notebooks/run.py [NOTEBOOK...]`.

The model is that of INTERNVL_MODEL. What a notebook says in its metadata it does not run is left alone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import nbclient
import nbformat

HERE = Path(__file__).parent
SETTINGS = {
    "OMP_NUM_THREADS": "1",  # the same sums whatever the cores, and quick beside other work
    "PYTHONWARNINGS": "ignore:IProgress not found",
    "TQDM_DISABLE": "1",
}
"""Of the kernel: nothing but what the cells say is among the outputs that are kept."""


def shown_only(notebook: nbformat.NotebookNode) -> bool:
    """It needs what few machines have: its cells are shown, not run."""
    return bool(notebook.metadata.get("shown_only"))


def executed(path: Path, env: Mapping[str, str] = os.environ, *, seconds: int = 600) -> nbformat.NotebookNode:
    """The notebook after a run in a fresh kernel, in its own folder. A cell that fails raises."""
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook,
        resources={"metadata": {"path": str(path.parent)}},
        timeout=seconds,
        record_timing=False,
        coalesce_streams=True,
    )
    client.execute(env={**env, **SETTINGS})
    notebook.metadata["language_info"] = {"name": "python"}  # without the version of whoever ran it
    return notebook


def main(names: list[str]) -> None:
    for path in [Path(name) for name in names] or sorted(HERE.glob("*.ipynb")):
        if not shown_only(nbformat.read(path, as_version=4)):
            nbformat.write(executed(path), path)
            print(path.name)


if __name__ == "__main__":
    main(sys.argv[1:])
