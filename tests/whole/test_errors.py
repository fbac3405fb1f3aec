from __future__ import annotations

import pickle

import pytest

from internvl_loaders import errors
from internvl_loaders.errors import InternVLError, PasswordError


def test_the_text_says_what_where_and_what_to_do() -> None:
    error = PasswordError("needs a password", source="a.pdf", page=3, remedy="Give it with --password")
    assert str(error) == "a.pdf, page 3: needs a password. Give it with --password."
    assert error.explanation == "needs a password. Give it with --password."
    assert str(PasswordError("wrong")) == "wrong"


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_is_of_one_family_and_survives_pickling(name: str) -> None:
    kind = getattr(errors, name)
    assert issubclass(kind, InternVLError)
    error = kind("message", source="s", page=1, remedy="r")
    back = pickle.loads(pickle.dumps(error))
    assert (type(back), str(back)) == (kind, str(error))


def test_builtin_kinds_are_kept() -> None:
    assert issubclass(errors.DocumentNotFoundError, FileNotFoundError)
    assert issubclass(errors.SourcePermissionError, PermissionError)
    assert issubclass(errors.OptionError, ValueError)
    assert issubclass(errors.MissingDependencyError, ImportError)
