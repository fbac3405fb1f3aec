import pytest


@pytest.fixture
def no_tables(monkeypatch):
    """Layout alone: what looks like a table stays text."""
    monkeypatch.setattr("internvl_loaders.structure.page.find_tables", lambda content: [])
