"""Passwords of encrypted documents."""

from __future__ import annotations

import stringprep
import unicodedata

from internvl_llm.errors import PasswordError


def spellings(password: str | None) -> list[str]:
    """The password as given and, where that differs, as PDF 2.0 wants it: SASLprep (RFC 4013)."""
    given = password or ""
    mapped = (" " if stringprep.in_table_c12(c) else c for c in given if not stringprep.in_table_b1(c))
    prepared = unicodedata.normalize("NFKC", "".join(mapped))
    return [given] if prepared == given else [given, prepared]


def wrong_password(password: str | None) -> PasswordError:
    if password:
        return PasswordError(
            "the document is encrypted and the password is wrong", remedy="Check the password"
        )
    return PasswordError("the document is encrypted", remedy="Give its password (--password)")
