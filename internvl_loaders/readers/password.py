"""What is said of an encrypted document."""

from __future__ import annotations

from internvl_loaders.errors import PasswordError


def wrong_password(password: str | None) -> PasswordError:
    if password:
        return PasswordError(
            "the document is encrypted and the password is wrong", remedy="Check the password"
        )
    return PasswordError("the document is encrypted", remedy="Give its password")
