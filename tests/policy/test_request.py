"""What is found in a request's field lines, and what it keeps from the cache."""

import pytest

from asgi_multitier.policy.credentials import Credentials
from asgi_multitier.policy.reasons import Reason
from asgi_multitier.policy.request import (
    Field,
    Watch,
    credential_refusal,
    is_doubtful,
    refusal,
    scan,
    tag_asked_for,
)
from tests.policy.support import lines

WATCHED = Watch(Credentials())


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("authorization", Field.AUTHORIZATION),
        ("proxy-authorization", Field.CREDENTIALS),
        ("x-api-key", Field.CREDENTIALS),
        ("cookie", Field.COOKIE),
        ("content-length", Field.BODY_LENGTH),
        ("transfer-encoding", Field.BODY_CODING),
        ("expect", Field.EXPECT),
        ("upgrade", Field.UPGRADE),
        ("x-http-method-override", Field.OVERRIDE),
        ("x-original-url", Field.OVERRIDE),
        ("forwarded", Field.FORWARDED),
        ("x-forwarded-host", Field.FORWARDED),
        ("range", Field.RANGE),
        ("if-range", Field.RANGE),
        ("if-none-match", Field.CONDITION),
        ("if-match", Field.CONDITION),
        ("cache-control", Field.CACHE_CONTROL),
        ("pragma", Field.PRAGMA),
    ],
)
def test_each_field_of_interest_is_found_in_all_usual_spellings(name: str, field: Field) -> None:
    """Lower case as ASGI has it, and as sloppy callers write it."""
    for spelling in (name, name.title(), name.upper()):
        line = (spelling.encode(), b"v")
        host, found = scan([(b"x-other", b"1"), line], WATCHED)

        assert host is None
        assert found == {field: [line]}


@pytest.mark.parametrize(
    "name",
    [
        "x_forwarded_host",
        "X_HTTP_METHOD_OVERRIDE",
        "content_length",
        "accept_language",
        "x-acce\xdf",
        "x lang",
        "",
        "x-lang:",
    ],
    ids=repr,
)
def test_names_that_are_read_differently_are_found(name: str) -> None:
    """With `_` for `-`, as CGI's heirs read them, and what HTTP does not allow."""
    line = (name.encode("latin-1"), b"v")

    assert scan([line], WATCHED)[1] == {Field.DOUBTFUL: [line]}


@pytest.mark.parametrize(
    ("sent", "keyed", "doubtful"),
    [
        (["x_lang"], [], True),
        (["x_lang"], ["x-lang"], True),
        (["x_lang"], ["x_lang"], False),
        (["X_Lang"], ["x_lang"], False),
        (["x_lang", "x_other"], ["x_lang"], True),
        (["x_lang", "x-lang"], ["x_lang"], True),
        (["x_lang", "x-lang"], ["x_lang", "x-lang"], True),
        (["x-lang"], ["x_lang"], True),
        (["x-lang"], ["x-lang"], False),
        (["x-lang"], [], False),
        (["x-a_b"], ["x_a-b"], True),
    ],
    ids=str,
)
def test_a_keyed_field_has_one_spelling(sent: list[str], keyed: list[str], doubtful: bool) -> None:
    """Any other spelling of it might be read as the same field, and is not in the key."""
    given = lines(*[(name, "v") for name in sent])
    found = scan(given, WATCHED)[1] or {}

    assert is_doubtful(given, found, frozenset(map(str.encode, keyed))) is doubtful


def test_a_name_called_harmless_is_so_in_its_own_spelling() -> None:
    """The other spelling of it may still be another field."""
    watched = Watch(Credentials(harmless=frozenset({b"x_trace_token"})))

    assert scan([(b"X_Trace_Token", b"1")], watched) == (None, None)
    assert scan([(b"x-trace-token", b"1")], watched)[1] is not None


@pytest.mark.no_cover  # it repeats what others cover
def test_clients_cannot_fill_the_memory_with_names() -> None:
    """What is remembered is bounded, and what is known stays known."""
    watched = Watch(Credentials())
    for number in range(20_000):
        name = b"x-%d" % number
        assert scan([(name, b""), (name * 20, b""), (b"cookie", b"a")], watched)[1] is not None

    assert len(watched.known) <= 4096
    assert max(map(len, watched.known)) <= 64
    assert set(scan(lines(("x-api-key", "1"), ("host", "h")), watched)[1] or ()) == {
        Field.CREDENTIALS
    }


def test_nothing_is_built_for_a_request_without_such_fields() -> None:
    """The hit path's usual case."""
    assert scan(lines(("host", "h"), ("accept", "*/*"), ("user-agent", "x")), WATCHED) == (
        b"h",
        None,
    )


def test_lines_that_can_be_read_once_are_read() -> None:
    """A server may give any iterable."""
    assert scan(iter(lines(("host", "h"))), WATCHED) == (b"h", None)


@pytest.mark.parametrize(
    ("hosts", "host"),
    [([], None), (["a"], b"a"), ([""], b""), (["a", "a"], None), (["a", "b", "c"], None)],
)
def test_only_a_single_host_is_one(hosts: list[str], host: bytes | None) -> None:
    """RFC 9112 §3.2: a request with several is not to be trusted."""
    assert scan(lines(*[("host", value) for value in hosts]), WATCHED)[0] == host


def test_all_lines_of_a_field_are_found_in_order() -> None:
    """Also those of different names with one meaning."""
    given = lines(("x-api-key", "1"), ("accept", "x"), ("api-key", "2"), ("x-api-key", "3"))

    assert scan(given, WATCHED)[1] == {Field.CREDENTIALS: [given[0], given[2], given[3]]}


@pytest.mark.parametrize(
    ("given", "tag"),
    [
        ([("If-None-Match", '"a"')], b'"a"'),
        ([("if-none-match", '"a", "b"')], b'"a", "b"'),
        ([], None),
        ([("if-none-match", '"a"'), ("if-none-match", '"b"')], None),
        ([("if-none-match", '"a"'), ("if-modified-since", "now")], None),
        ([("if-none-match", '"a"'), ("range", "bytes=0-1")], None),
        ([("if-none-match", '"a"'), ("if-range", '"a"')], None),
        ([("if-match", '"a"')], None),
    ],
)
def test_a_validator_may_be_all_that_is_asked(
    given: list[tuple[str, str]], tag: bytes | None
) -> None:
    """Any other condition or range needs the whole evaluation."""
    found = scan(lines(*given), Watch(Credentials()))[1] or {}

    assert tag_asked_for(found) == tag


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ([("x-method-override", "PUT")], Reason.OVERRIDE),
        ([("x-rewrite-url", "/admin")], Reason.OVERRIDE),
        ([("upgrade", "h2c")], Reason.UPGRADE),
        ([("transfer-encoding", "identity")], Reason.REQUEST_BODY),
        ([("expect", "")], Reason.REQUEST_BODY),
        ([("content-length", "1")], Reason.REQUEST_BODY),
        ([("content-length", "00")], Reason.REQUEST_BODY),
        ([("content-length", "+0")], Reason.REQUEST_BODY),
        ([("content-length", "")], Reason.REQUEST_BODY),
        ([("content-length", "0"), ("content-length", "1")], Reason.REQUEST_BODY),
        ([("content-length", " 0 ")], None),
        ([("cookie", "a=b"), ("range", "bytes=0-"), ("authorization", "x")], None),
    ],
    ids=str,
)
def test_what_no_rule_lets_in(given: list[tuple[str, str]], reason: Reason | None) -> None:
    """Overrides, upgrades and requests with content."""
    _, found = scan(lines(*given), WATCHED)
    assert found is not None

    assert refusal(found, method="GET", target=b"/a?b=1") == reason


@pytest.mark.parametrize(
    ("name", "value", "method", "reason"),
    [
        ("x-original-url", "/a?b=1", "GET", None),
        ("x-original-url", "/a?b=1", "HEAD", None),
        ("x-forwarded-uri", "/a?b=1", "GET", None),
        ("x-original-url", "/a", "GET", Reason.OVERRIDE),
        ("x-original-url", "/admin", "GET", Reason.OVERRIDE),
        ("x-original-url", "GET", "GET", Reason.OVERRIDE),
        ("x-http-method-override", "GET", "GET", None),
        ("x-http-method-override", "/a?b=1", "GET", Reason.OVERRIDE),
        ("x-http-method-override", "GET", "HEAD", Reason.OVERRIDE),
        ("x-http-method-override", "HEAD", "HEAD", Reason.OVERRIDE),
        ("x-forwarded-method", "DELETE", "GET", Reason.OVERRIDE),
    ],
)
def test_what_says_again_what_the_request_is_overrides_nothing(
    name: str, value: str, method: str, reason: Reason | None
) -> None:
    """Gateways send such fields on every request."""
    _, found = scan(lines((name, value)), WATCHED)
    assert found is not None

    assert refusal(found, method=method, target=b"/a?b=1") == reason
    found[Field.OVERRIDE].append((b"x-rewrite-url", b"/admin"))
    assert refusal(found, method=method, target=b"/a?b=1") == Reason.OVERRIDE


@pytest.mark.parametrize(
    "name",
    [
        *("X-Original-Host", "X-Original-Proto", "X-Forwarded-Hostname", "X-Ingress-Path"),
        *("X-External-Path", "Fly-Forwarded-Proto", "X-Envoy-Original-Path", "X-Forwarded-Context"),
    ],
)
def test_what_urls_are_built_from_is_in_the_key(name: str) -> None:
    """By its words, whatever proxy sets it."""
    assert scan(lines((name.lower(), "evil")), WATCHED)[1] == {
        Field.FORWARDED: [(name.lower().encode(), b"evil")]
    }


@pytest.mark.parametrize(
    ("given", "options", "reason"),
    [
        ([("authorization", "x")], {}, Reason.AUTHORIZATION),
        ([("x-api-key", "x")], {}, Reason.CREDENTIALS),
        ([("cookie", "x")], {}, Reason.COOKIE),
        ([("cookie", "x"), ("authorization", "x")], {}, Reason.AUTHORIZATION),
        ([("range", "x")], {}, None),
        ([("authorization", "x"), ("cookie", "x"), ("api-key", "x")], {"public": True}, None),
        ([("authorization", "x"), ("cookie", "x")], {"partitioned": True}, None),
        ([("authorization", "x")], {"keyed": frozenset({b"authorization"})}, None),
        ([("x-api-key", "x")], {"keyed": frozenset({b"x-api-key"})}, None),
        (
            [("x-api-key", "x"), ("api-key", "x")],
            {"keyed": frozenset({b"x-api-key"})},
            Reason.CREDENTIALS,
        ),
        ([("cookie", "x")], {"keyed": frozenset({b"cookie"})}, None),
        ([("cookie", "x")], {"cookies_keyed": True}, None),
        ([("cookie", "x"), ("authorization", "x")], {"cookies_keyed": True}, Reason.AUTHORIZATION),
        ([("cookie", "x")], {"keyed": frozenset({b"authorization"})}, Reason.COOKIE),
    ],
    ids=str,
)
def test_credentials_keep_out_unless_the_rule_separates_users(
    given: list[tuple[str, str]], options: dict[str, object], reason: Reason | None
) -> None:
    """By everything that is not keyed on, one by one."""
    _, found = scan(lines(*given), WATCHED)
    assert found is not None
    allowed = {"public": False, "keyed": frozenset(), "cookies_keyed": False, "partitioned": False}

    assert credential_refusal(found, **{**allowed, **options}) == reason  # type: ignore[arg-type]
