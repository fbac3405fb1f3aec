"""The key of a server is sent to it, and nowhere else."""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr

from internvl_llm.engine import EngineSpec
from internvl_llm.engines.open import fingerprint, open_engine, to_spec
from internvl_llm.errors import ServerError
from internvl_llm.request import Request
from tests.kit.servers.fake import FakeServer

KEY = "sk-very-secret-0815"


def told(value: Any) -> str:
    """All that could tell it."""
    pickled = pickle.dumps(value)
    again = pickle.loads(pickled)
    return f"{value!r} {value} {pickled!r} {again!r} {getattr(value, '__dict__', '')}"


def test_a_key_is_sent(opened: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeServer(key=KEY) as server:
        assert opened(server, api_key=KEY).generate([Request("Hi")])[0].text == "Hello there"
        with pytest.raises(ServerError, match=r"refuses the key.*INTERNVL_API_KEY"):
            opened(server, api_key="another")
        with pytest.raises(ServerError, match=r"asks for a key.*INTERNVL_API_KEY"):
            opened(server)
        monkeypatch.setenv("INTERNVL_API_KEY", KEY)
        assert opened(server).generate([Request("Hi")])[0].text == "Hello there"
        assert all("Authorization" in asked.headers for asked in server.asked[:3])
    with FakeServer() as server:
        monkeypatch.delenv("INTERNVL_API_KEY")
        opened(server)
        assert all("Authorization" not in asked.headers for asked in server.asked)


@pytest.mark.parametrize("key", [KEY, SecretStr(KEY)])
def test_a_spec_shows_no_key(key: Any, caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("httpx")
    caplog.set_level(logging.DEBUG)
    with FakeServer(key=KEY) as server:
        spec = to_spec({"base_url": server.url, "api_key": key})
        engine = open_engine(spec)
        try:
            assert open_engine(base_url=server.url, api_key=key) is engine
            assert KEY not in told(spec) + json.dumps(spec.plain()) + repr(dataclasses.asdict(spec))
            assert pickle.loads(pickle.dumps(spec)).base_url == spec.base_url
            assert copy.deepcopy(spec) == copy.copy(spec) == spec
            plain = fingerprint(spec)
            assert plain is not None and KEY not in plain + repr(engine.capabilities) + repr(engine)
        finally:
            engine.close()
    assert KEY not in caplog.text


def test_errors_and_servers_that_repeat_it_show_no_key(opened: Callable[..., Any]) -> None:
    from tests.kit.servers.base import Status

    with FakeServer(script=lambda body: Status(400, {"error": {"message": f"bad key {KEY}"}})) as server:
        engine = opened(server, api_key=KEY)
        with pytest.raises(ServerError, match="bad key …") as caught:
            engine.generate([Request("Hi")])
        assert KEY not in str(caught.value) + repr(caught.value.__context__) + repr(vars(caught.value))


def test_the_fingerprint_is_of_the_server_not_of_the_key(opened: Callable[..., Any]) -> None:
    with FakeServer() as one, FakeServer() as other, FakeServer(root="elsewhere") as third:
        assert opened(one, api_key="a").fingerprint == opened(other, api_key="b").fingerprint
        assert opened(one).fingerprint != opened(third).fingerprint
    with FakeServer("other") as one, FakeServer("other") as other:
        assert opened(one).fingerprint != opened(other).fingerprint
    with FakeServer(max_tiles=12) as one, FakeServer(max_tiles=24) as other:
        assert opened(one).fingerprint != opened(other).fingerprint


def test_langchain(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("langchain_core")
    from langchain_core.load import dumps

    from internvl_llm.langchain import ChatInternVL

    with FakeServer(key=KEY) as server:
        models = [
            ChatInternVL(base_url=server.url, api_key=KEY),
            ChatInternVL(base_url=server.url, api_key=SecretStr(KEY)),
            ChatInternVL(engine={"base_url": server.url, "api_key": KEY}),
            ChatInternVL(engine=EngineSpec(base_url=server.url, api_key=KEY)),
        ]
        for model in models:
            assert model.invoke("Hi").content == "Hello there"
            assert model.invoke("Hi").response_metadata["model_name"] == "InternVL3-8B"
            shown = told(model) + dumps(model) + str(model._identifying_params) + str(model._get_ls_params())
            assert KEY not in shown + json.dumps(model.model_dump(mode="json"))
            assert model.model_copy().invoke("Hi").content == "Hello there"
        again = pickle.loads(pickle.dumps(models[0]))
        with pytest.raises(ServerError, match="asks for a key"):
            again.invoke("Hi")
        monkeypatch.setenv("INTERNVL_API_KEY", KEY)
        assert again.invoke("Hi").content == "Hello there"
        models[0]._engine().close()


def test_llama_index(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("llama_index.core")
    from internvl_llm.llama_index import InternVL

    with FakeServer(key=KEY) as server:
        models = [
            InternVL(base_url=server.url, api_key=KEY),
            InternVL(engine={"base_url": server.url, "api_key": KEY}),
            InternVL(engine=EngineSpec(base_url=server.url, api_key=KEY)),
            InternVL(base_url=server.url, engine_options={"api_key": KEY}),
        ]
        for model in models:
            assert model.complete("Hi").text == "Hello there"
            assert model.metadata.model_name == "InternVL3-8B"
            assert KEY not in told(model) + json.dumps(model.to_dict()) + model.to_json()
            monkeypatch.setenv("INTERNVL_API_KEY", KEY)
            assert InternVL.from_dict(model.to_dict()).complete("Hi").text == "Hello there"
            monkeypatch.delenv("INTERNVL_API_KEY")
        models[0]._engine().close()


def test_options_of_parsing() -> None:
    from internvl_loaders.options import ParseOptions
    from internvl_loaders.records.options import LoaderOptions

    engine = {"base_url": "http://localhost:1/v1", "api_key": KEY}
    for kind in (ParseOptions, LoaderOptions):
        options = kind.of(engine=engine)
        assert KEY not in told(options) + options.model_dump_json()
        assert options.chosen_engine().api_key.get_secret_value() == KEY  # type: ignore[union-attr]
    assert KEY not in json.dumps(LoaderOptions.of(engine=engine).text_settings())
