"""Whether a layer around the cache has identified the user."""

from collections.abc import Collection
from enum import Enum
from typing import Any

from ..._types import Scope


def is_known(scope: Scope) -> bool:
    """Whether a layer has identified the user: the answer may depend on that.

    A session that is not empty, a user who is not anonymous, granted scopes, a certificate of the
    client's (the `tls` extension). What cannot be asked, as a session that is loaded later and
    raises until then, counts as a known user. A scope without `session`, `user`, `auth` and
    `extensions` identifies no user: the middleware checks for those four itself before a plain hit.
    """
    if not ("session" in scope or "user" in scope or "auth" in scope or "extensions" in scope):
        return False
    try:
        return (
            _has_session(scope.get("session"))
            or _is_somebody(scope.get("user"))
            or _is_granted(scope.get("auth"))
            or _has_certificate(scope.get("extensions"))
        )
    except Exception:  # noqa: BLE001  # objects of other people's layers
        return True


def _has_session(session: Any) -> bool:
    return not _is_placeholder(session) and bool(session)


def _is_somebody(user: Any) -> bool:
    """A user object that does not say whether it is authenticated is there for a reason."""
    if user is None or _is_placeholder(user):
        return False
    return bool(getattr(user, "is_authenticated", user))


def _is_granted(auth: Any) -> bool:
    return not _is_placeholder(auth) and bool(getattr(auth, "scopes", auth))


def _is_placeholder(value: Any) -> bool:
    """Frameworks put a class or an enum's member where there is nothing yet."""
    return isinstance(value, type | Enum)


def _has_certificate(extensions: Any) -> bool:
    tls = (extensions or {}).get("tls") or {}
    chain: Collection[str] = tls.get("client_cert_chain") or ()
    return bool(chain) or bool(tls.get("client_cert_name"))
