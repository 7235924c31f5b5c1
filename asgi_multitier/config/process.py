"""CacheConfig: where Redis is, and every bound of a process; read from its environment."""

import os
import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, fields
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypedDict, Unpack, cast, get_args

import msgspec

from ..errors import ConfigError
from ..policy.credentials import Credentials, folded
from ..policy.request import KNOWN_FIELDS
from ..policy.terms import Terms
from ..strategy import Lifetime, seconds_of
from .auditing import OnWrong, read_audit, read_on_wrong
from .environment import read_dotenv
from .policy import Names, Policy, is_personal
from .readers import read_boolean, read_field_names, refuse_unknown
from .tokens import credentials_of
from .urls import check_instance_url, check_url

Mode: TypeAlias = Literal["on", "off", "shadow"]
"""Whether a process uses its cache, or only observes what it would do."""


def read_mode(value: object, where: str) -> Mode:
    """Check a mode.

    Raises:
        ConfigError: If there is no such mode.
    """
    if value not in get_args(Mode):
        raise ConfigError.of("mode", value, "'on', 'off' or 'shadow'", where=where)
    return cast(Mode, value)


def read_warm(value: object) -> int:
    """How many targets a warm-up asks for; 0 for none.

    Raises:
        ConfigError: If the value is no warm-up.
    """
    if value is None:
        return 0
    found = _WARM.fullmatch(value) if isinstance(value, str) else None
    if found is None or not 1 <= int(found[1]) <= _MOST_WARMED:
        allowed = f"None, or 'top:200' with a number from 1 to {_MOST_WARMED:,}"
        raise ConfigError.of("warm", value, allowed, where="CacheConfig")
    return int(found[1])


_WARM = re.compile(r"top:([0-9]{1,6})")
_MOST_WARMED = 2_000

DEFAULT_REDIS_URL = "redis://127.0.0.1:6379"

_PREFIX = "ASGI_MULTITIER_"
_NO_REDIS = "none"
_MIN_SECRET = 16


class Settings(TypedDict, total=False):
    """Attributes of `CacheConfig` as they may be given; it has the meanings."""

    redis_url: str | None
    namespace: str | None
    version: str
    secret: bytes | None
    max_entry: int
    header_block: int
    compress_min_bytes: int
    l1_bytes: int
    l1_entries: int
    max_variants: int
    max_url: int
    max_flights: int
    max_waiters: int
    overload: Literal["wait", "refuse"]
    max_refreshes: int
    coalesce_timeout: Lifetime
    redis_timeout: Lifetime
    breaker_failures: int
    breaker_reset: Lifetime
    hit_for_miss: Lifetime
    credential_headers: Names | AbstractSet[bytes]
    harmless_headers: Names | AbstractSet[bytes]
    mode: Mode
    shadow_bytes: int
    warm: str | None
    audit: float | Fraction | str | None
    audit_runs: int
    on_wrong: OnWrong
    workers: bool
    heartbeat: bool
    instance_url: str | None
    debug: bool
    admin_token: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheConfig:
    """The settings of a process: where Redis is, and every bound.

    Attributes:
        redis_url: Where Redis is; None for memory only.
        namespace: Separates applications that share a Redis; None to derive it.
        version: The release's name, a part of all keys: a release never reads another's entries.
        secret: The key of the MAC over stored entries, at least 16 bytes; None for no MAC.
        max_entry: Bytes of the largest body that is stored.
        header_block: Bytes of the largest header block that is stored.
        compress_min_bytes: Bytes of the smallest body that is compressed for clients, on routes
            with `compress`.
        l1_bytes: The most bytes in the memory tier, as it counts them.
        l1_entries: The most entries in it.
        max_variants: Variants of one URL that are kept.
        max_url: Bytes of the longest path and query that is cached.
        max_flights: Concurrent calls; beyond them, a call ends as soon as no request waits for it.
        max_waiters: Requests that may wait for one call where `overload` is `"refuse"`.
        overload: A request beyond `max_waiters` waits as well (`"wait"`), or gets a 503 with
            `Retry-After` (`"refuse"`); the caller of a value gets a `CacheError`.
        max_refreshes: Concurrent background calls, of responses and values together; beyond them,
            stale copies are served without one.
        coalesce_timeout: Seconds after which a second call is made for all waiting requests.
        redis_timeout: Seconds that a request waits for Redis.
        breaker_failures: Failures in a row after which Redis is not used.
        breaker_reset: Seconds until it is used again.
        hit_for_miss: Seconds for which requests do not wait for a response that could not be
            stored.
        credential_headers: Request fields that identify the user, besides those recognised by their
            names (see `policy.credentials`); lower-case.
        harmless_headers: Request fields that do not although their names look so; lower-case.
        mode: `"on"`, or `"off"`: every request and value goes to its origin, nothing is stored, and
            invalidations are still sent to the other instances. Or `"shadow"`: as `"off"`, and what
            the cache would have answered is compared with what the application answers.
            `CacheManager.mode` changes it while the process runs.
        shadow_bytes: Bytes of all that is kept for that comparison: no content, but what is known
            of answers that would be stored, and of requests.
        warm: `"top:200"`: after its start a process asks its own application, slowly, for the 200
            targets that clients of all processes ask for most, at most 2,000; None for no warm-up.
        audit: The share of hits that is compared, after the client has its answer, with what the
            application answers now: 1/1000, `"1/1000"` or 0.001; 0 or None for none.
        audit_runs: Runs of the application for audits that begin in a second at most, and that go
            on at a time.
        on_wrong: A stored response that an audit has found wrong is reported (`"report"`), or
            reported and dropped on every instance (`"drop"`).
        workers: Whether the workers of one machine answer for each other: a scrape that meets one
            has the figures of all. Each has a socket for that, in a directory of this user alone.
        heartbeat: Whether this process tells the others of itself every five seconds, in the place
            where the log is, for `CacheManager.instances()`.
        instance_url: Where this process's admin application is reached, such as
            `"http://10.0.0.7:8000/_cache"`, to be shown there; None if it is not.
        debug: For development, never for production: a table of the routes at start, `Cache-Debug`
            on each answer, and every client may control the cache by its `Cache-Control` (RFC 9111
            §5.2.1), so that a browser's reload reaches the application.
        admin_token: The token of operators for `CacheManager.admin`, at least 32 visible ASCII
            characters; None for none.

    Raises:
        ConfigError: If a value is out of range.
    """

    redis_url: str | None = field(default=DEFAULT_REDIS_URL, repr=False)
    namespace: str | None = None
    version: str = ""
    secret: bytes | None = field(default=None, repr=False)
    max_entry: int = 1024 * 1024
    header_block: int = 16 * 1024
    compress_min_bytes: int = 1024
    l1_bytes: int = 64 * 1024 * 1024
    l1_entries: int = 200_000
    max_variants: int = 64
    max_url: int = 8 * 1024
    max_flights: int = 10_000
    max_waiters: int = 1_000
    overload: Literal["wait", "refuse"] = "wait"
    max_refreshes: int = 16
    coalesce_timeout: float = 5.0
    redis_timeout: float = 0.25
    breaker_failures: int = 3
    breaker_reset: float = 1.0
    hit_for_miss: float = 2.0
    credential_headers: frozenset[bytes] = frozenset()
    harmless_headers: frozenset[bytes] = frozenset()
    mode: Mode = "on"
    shadow_bytes: int = 32 * 1024 * 1024
    warm: str | None = None
    audit: float | None = None
    audit_runs: int = 5
    on_wrong: OnWrong = "report"
    workers: bool = True
    heartbeat: bool = True
    instance_url: str | None = None
    debug: bool = False
    admin_token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for option in _COUNTS:
            _check_count(option, getattr(self, option))
        for option in _TIMES:
            seconds = seconds_of(getattr(self, option), option=option, where="CacheConfig")
            object.__setattr__(self, option, seconds)
        if self.overload not in ("wait", "refuse"):
            allowed = "'wait' or 'refuse'"
            raise ConfigError.of("overload", self.overload, allowed, where="CacheConfig")
        check_url(self.redis_url)
        _check_label("namespace", self.namespace)
        _check_label("version", self.version or None)
        _check_secret(self.secret)
        for option in _FIELD_NAMES:
            names = read_field_names(getattr(self, option), option, "CacheConfig")
            object.__setattr__(self, option, frozenset(names))
        self._check_fields()
        read_mode(self.mode, "CacheConfig")
        read_warm(self.warm)
        object.__setattr__(self, "audit", read_audit(self.audit))
        read_on_wrong(self.on_wrong)
        for option in _SWITCHES:
            read_boolean(getattr(self, option), option, "CacheConfig")
        check_instance_url(self.instance_url)
        credentials_of(self.admin_token, "CacheConfig", "admin_token")

    def _check_fields(self) -> None:
        """Refuse harmless fields that are not, or that are in `credential_headers`."""
        added = self.credentials.added
        for name in sorted(self.harmless_headers):
            if name in KNOWN_FIELDS:
                instead = _INSTEAD.get(name, "this one has a meaning that no setting changes")
                allowed = f"names of fields that only look like credentials; {instead}"
            elif folded(name) in added:
                allowed = "names that are not in credential_headers="
            else:
                continue
            raise ConfigError.of("harmless_headers", name.decode(), allowed, where="CacheConfig")

    @property
    def warm_top(self) -> int:
        """How many targets a process asks for after its start; 0 for no warm-up."""
        return read_warm(self.warm)

    @property
    def credentials(self) -> Credentials:
        """Which request fields identify the user."""
        added = frozenset(map(folded, self.credential_headers))
        return Credentials(added=added, harmless=self.harmless_headers)

    def applied(self, policy: Policy) -> Policy:
        """A policy, as this process applies it."""
        if not self.debug:
            return policy
        return policy.but("debug mode", honor_request_directives=True)

    def terms_of(self, policy: Policy) -> Terms:
        """The terms of a policy, within this process's bounds."""
        partitioned = is_personal(policy, self.credentials)
        compresses = bool(policy.compress_personal or policy.guarded) or not partitioned
        return msgspec.structs.replace(
            policy.terms,
            partitioned=partitioned,
            codings=policy.compress if compresses else (),
            encode_from=self.compress_min_bytes,
            max_entry=self.max_entry,
            header_limit=self.header_block,
        )

    @classmethod
    def resolve(
        cls,
        *,
        environ: Mapping[str, str] | None = None,
        dotenv: str | os.PathLike[str] | None = ".env",
        **arguments: Unpack[Settings],
    ) -> "CacheConfig":
        """Read the settings: arguments count before the environment, `.env` and the defaults.

        Every attribute `x` can be set as `ASGI_MULTITIER_X`; `REDIS_URL` is
        another name of `ASGI_MULTITIER_REDIS_URL`, which counts first within the same source. An
        empty value counts as not set, the Redis URL `none` as memory only, and names are separated
        by commas.

        Args:
            environ: The environment; `os.environ` if None.
            dotenv: A file of `NAME=value` lines, read where it exists; None for no file.
            **arguments: Attributes by name; one that is given counts, even if it is None.

        Raises:
            ConfigError: If a value is wrong, or a name unknown; it names the closest known one.
        """
        return read_config(environ=environ, dotenv=dotenv, **arguments)[0]


def read_config(
    *,
    environ: Mapping[str, str] | None = None,
    dotenv: str | os.PathLike[str] | None = ".env",
    **arguments: Unpack[Settings],
) -> tuple[CacheConfig, dict[str, str]]:
    """The settings, and where each that is not the default comes from. See `CacheConfig.resolve`.

    Returns:
        The settings; by name `"argument"`, `"environment"` or the name of the file.
    """
    refuse_unknown(arguments, (f.name for f in fields(CacheConfig)), where="CacheConfig")
    found: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for source, settings in (
        (str(dotenv), read_dotenv(Path(dotenv)) if dotenv is not None else {}),
        ("environment", os.environ if environ is None else environ),
    ):
        given = _settings(settings, source)
        found |= given
        origins |= dict.fromkeys(given, source)
    found |= arguments
    return CacheConfig(**found), origins | dict.fromkeys(arguments, "argument")


_COUNTS = tuple(f.name for f in fields(CacheConfig) if f.type is int)
_TIMES = tuple(f.name for f in fields(CacheConfig) if f.type is float)
_SWITCHES = tuple(f.name for f in fields(CacheConfig) if f.type is bool)
_FIELD_NAMES = ("credential_headers", "harmless_headers")
_INSTEAD = {
    b"authorization": "write public=True on the routes whose responses are the same for all users",
    b"cookie": "write ignore_cookies=True on the routes whose responses do not depend on cookies",
}
"""What to write instead of calling a field harmless."""

_TRUTHS = {
    "1": True, "true": True, "yes": True, "on": True,
    "0": False, "false": False, "no": False, "off": False,
}  # fmt: skip


def _check_count(option: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError.of(option, value, "a whole number from 1", where="CacheConfig")


def _check_secret(secret: object) -> None:
    """The message does not show the value."""
    if secret is not None and not (isinstance(secret, bytes) and len(secret) >= _MIN_SECRET):
        raise ConfigError(
            f"CacheConfig: secret is not allowed; expected at least {_MIN_SECRET} bytes, the same "
            "on all instances: a bytes object, made once with secrets.token_bytes(32)"
        )


def _check_label(option: str, value: object) -> None:
    """Labels become parts of keys in Redis: printable, without separators."""
    if value is not None and not (isinstance(value, str) and _LABEL.fullmatch(value)):
        raise ConfigError.of(
            option, value, "1 to 64 of letters, digits, '.', '_' and '-'", where="CacheConfig"
        )


_LABEL = re.compile(r"[A-Za-z0-9._-]{1,64}")


def _settings(source: Mapping[str, str], place: str) -> dict[str, Any]:
    """The settings in a source of texts, converted to their types."""
    known = {_PREFIX + f.name.upper(): f.name for f in fields(CacheConfig)}
    ours = {name: value for name, value in source.items() if name.startswith(_PREFIX)}
    refuse_unknown(ours, known, where=place)
    found = {"redis_url": source["REDIS_URL"]} if "REDIS_URL" in source else {}
    found |= {
        known[name]: value for name, value in ours.items() if value or known[name] not in found
    }
    return {
        option: _typed(option, value, place) for option, value in found.items() if value.strip()
    }


def _typed(option: str, text: str, place: str) -> Any:
    """A setting's value from its text."""
    text = text.strip()
    if option == "redis_url":
        return None if text.lower() == _NO_REDIS else text
    if option == "secret":
        return text.encode()
    if option in _FIELD_NAMES:
        return frozenset(name.strip().encode() for name in text.split(",") if name.strip())
    if option in _SWITCHES:
        if text.lower() not in _TRUTHS:
            raise ConfigError.of(option, text, "1 or 0", where=place)
        return _TRUTHS[text.lower()]
    if option in ("mode", "on_wrong"):
        return text.lower()
    if option not in _COUNTS and option not in _TIMES:
        return text
    try:
        return int(text) if option in _COUNTS else float(text)
    except ValueError:
        kind = "a whole number" if option in _COUNTS else "a number of seconds"
        raise ConfigError.of(option, text, f"{kind}, without a unit", where=place) from None
