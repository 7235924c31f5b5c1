"""Options of a policy that contradict each other, or mean nothing together."""

from types import SimpleNamespace

from ..errors import ConfigError
from ..policy.coding import ACCEPT_ENCODING
from ..policy.content import WITH_CONTENT
from ..policy.cookies import is_ignored
from ..policy.credentials import Credentials
from .templates import Template

MAX_BODY = 64 * 1024
"""Bytes of a request's content that are read where a rule gives no bound."""


def check_together(policy: SimpleNamespace, where: str) -> None:
    """Refuse options that contradict each other.

    Args:
        policy: The options by name, in the form that is kept.
        where: The route or rule, for errors.

    Raises:
        ConfigError: For the first that do.
    """
    _check_public(policy, where)
    _check_cookies(policy, where)
    if policy.heuristics and policy.lifetime is not None:
        raise ConfigError.of("heuristics", True, "False where a lifetime is given", where=where)
    if policy.partial and policy.lifetime is not None:
        raise ConfigError.of("partial", True, "False where a lifetime is given", where=where)
    soft, hard = policy.soft_timeout, policy.hard_timeout
    if soft is not None and hard is not None and soft > hard:
        raise ConfigError.of("soft_timeout", soft, f"at most hard_timeout={hard:g}", where=where)
    _check_methods(policy, where)
    _check_fields(policy, where)
    _check_guarded(policy, where)
    _check_validator(policy, where)
    _check_compress(policy, where)


def _check_compress(policy: SimpleNamespace, where: str) -> None:
    """Refuse to compress what belongs to one user, unless that is asked for."""
    if not policy.compress:
        if policy.compress_personal:
            allowed = "False, or True together with compress="
            raise ConfigError.of("compress_personal", True, allowed, where=where)
        return
    given = [coding.decode() for coding in policy.compress]
    if ACCEPT_ENCODING in policy.vary:
        allowed = "False where vary= has accept-encoding: there the application compresses"
    elif not (policy.compress_personal or policy.guarded) and (  # see `Policy.but`
        policy.cookies or policy.vary_by is not None or Credentials().include_any(policy.vary)
    ):
        allowed = (
            "False where vary_by=, cookies= or vary= gives each user a copy, as its compressed "
            "length may tell what is in it (BREACH); or compress_personal=True, if it has no "
            "secrets or never repeats what a request contains"
        )
    else:
        return
    raise ConfigError.of("compress", given, allowed, where=where)


def _check_validator(policy: SimpleNamespace, where: str) -> None:
    """Refuse a validator where something else decides whether a response still holds."""
    if policy.validator is None:
        return
    if policy.lifetime is None:
        allowed = (
            "None where no lifetime is given: there the application validates its own responses, "
            "by ETag or Last-Modified; or a lifetime, such as Policy(60, validator=...)"
        )
        raise ConfigError.of("validator", policy.validator, allowed, where=where)
    if policy.guarded:
        allowed = (
            "None with guarded=: the dependencies of a request run first, and may read data before "
            "its version is read; a route without guarded= may have one, also with vary_by="
        )
        raise ConfigError.of("validator", policy.validator, allowed, where=where)


def _check_guarded(policy: SimpleNamespace, where: str) -> None:
    """Refuse what means nothing, or another thing, where a guard runs on every request."""
    if not policy.guarded:
        if isinstance(policy.vary_by, Template):
            allowed = (
                "a callable that takes the request; a template over the endpoint's arguments "
                "needs guarded=True"
            )
            raise ConfigError.of("vary_by", policy.vary_by.text, allowed, where=where)
        return
    refused = {
        "lifetime": (policy.lifetime is None, "a lifetime: a guarded route decides by its rule"),
        "public": (policy.public, "False: who may have the response is what the guard decides"),
        "negative": (policy.negative is not None, "None: a guarded route stores no failures"),
        "ignore_cookies": (bool(policy.ignore_cookies), "False: the guard gets all cookies"),
        "store_set_cookie": (policy.store_set_cookie, "False: a cookie belongs to its client"),
        "methods": (not policy.body and policy.methods & WITH_CONTENT, "GET and HEAD"),
    }
    for option, (wrong, allowed) in refused.items():
        if wrong:
            given = getattr(policy, option)
            raise ConfigError.of(option, given, f"{allowed} (guarded=)", where=where)
    if policy.guarded == "shared" and policy.vary_by is not None:
        allowed = "True where vary_by= gives each user a copy"
        raise ConfigError.of("guarded", "shared", allowed, where=where)


def _check_public(policy: SimpleNamespace, where: str) -> None:
    """Refuse `public` where another option separates the users."""
    if not policy.public:
        return
    if policy.vary_by is not None:
        allowed = "False where vary_by= gives each user a copy"
        raise ConfigError.of("public", True, allowed, where=where)
    if policy.cookies:
        allowed = "False where cookies= separates copies; other cookies do not bypass the cache"
        raise ConfigError.of("public", True, allowed, where=where)
    for name in (b"authorization", b"cookie"):
        if name in policy.vary:
            allowed = f"False where vary= gives each {name.decode()} a copy"
            raise ConfigError.of("public", True, allowed, where=where)


def _check_cookies(policy: SimpleNamespace, where: str) -> None:
    """Refuse to ignore cookies that another option says the response depends on."""
    ignored = policy.ignore_cookies
    if ignored is True and (policy.cookies or b"cookie" in policy.vary):
        option = "cookies" if policy.cookies else "vary"
        allowed = f"names of cookies, or nothing, where {option}= has cookies in the key"
        raise ConfigError.of("ignore_cookies", True, allowed, where=where)
    for name in policy.cookies:
        if is_ignored(name.encode("latin-1"), ignored):
            allowed = f"none that cookies= names, as it does {name}"
            given = ignored if isinstance(ignored, bool) else list(ignored)
            raise ConfigError.of("ignore_cookies", given, allowed, where=where)


def _check_methods(policy: SimpleNamespace, where: str) -> None:
    """Refuse methods that the cache would never answer or store.

    A HEAD is answered from the response to a GET. The response to a POST or a QUERY is stored for
    requests with the same content, if the rule says so; that to a POST otherwise for GET alone,
    where it allows that itself (RFC 9110 §9.3.3).
    """
    given = sorted(policy.methods)
    with_content = policy.methods & WITH_CONTENT
    if "HEAD" in policy.methods and "GET" not in policy.methods:
        allowed = "GET among them: a HEAD is answered from the response to a GET"
        raise ConfigError.of("methods", given, allowed, where=where)
    if policy.body:
        if not with_content:
            allowed = "False, or True with POST or QUERY in methods="
            raise ConfigError.of("body", policy.body, allowed, where=where)
        return
    if policy.max_body != MAX_BODY:
        allowed = "a bound together with body=True, without which no content is read"
        raise ConfigError.of("max_body", policy.max_body, allowed, where=where)
    if with_content:
        _check_without_body(policy, given, where)


def _check_without_body(policy: SimpleNamespace, given: list[str], where: str) -> None:
    """Refuse POST and QUERY where their content is not in the key, but POST in `from_origin`."""
    if policy.lifetime is not None or "QUERY" in policy.methods:
        allowed = (
            "GET and HEAD where a lifetime is given; POST and QUERY need body=True, which keys "
            "responses by the content of the request; POST alone may stand without it in "
            "Policy.from_origin"
        )
        raise ConfigError.of("methods", given, allowed, where=where)
    if "GET" not in policy.methods:
        allowed = "GET among them, as a POST is stored for GET; or body=True, for the same content"
        raise ConfigError.of("methods", given, allowed, where=where)
    if policy.vary_by is not None or policy.when is not None:
        allowed = (
            "GET and HEAD where vary_by= or when= is given, which are called for a POST only with "
            "body=True"
        )
        raise ConfigError.of("methods", given, allowed, where=where)


def _check_fields(policy: SimpleNamespace, where: str) -> None:
    """Refuse response fields that are to be kept and left out."""
    for name in policy.keep:
        if name in policy.strip:
            allowed = f"fields that strip= does not name, as it does {name.decode()}"
            raise ConfigError.of("keep", name.decode(), allowed, where=where)
