"""Each command: what it asks, writes and ends with, over a server with set answers."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from asgi_multitier.cli.commands.top import changed
from asgi_multitier.cli.exits import Exit
from asgi_multitier.cli.figures import rows
from asgi_multitier.cli.main import main
from tests.cli.admin import TOKEN, Asked, served

DURATIONS = {"count": 5, "seconds": 1.2, "mean": 0.24, "p50": 0.2, "p95": 0.4}
NONE = {"count": 0, "seconds": 0.0, "mean": None, "p50": None, "p95": None}


def route(name: str, **fields: Any) -> dict[str, Any]:
    """Statistics of a route."""
    return {
        "route": name,
        "requests": 100,
        "hits": {"1": 80, "2": 3},
        "stale": 1,
        "coalesced": 2,
        "misses": 4,
        "passes": {"cookie": 9, "method": 1},
        "ratio": 0.9555,
        "runs": DURATIONS,
        "waits": NONE,
        "saved": 20.64,
        "invalidations": {},
    } | fields


LOG = {
    "gen": "acd89f0c" * 4,
    "seq": 53,
    "trusted": True,
    "queued": 0,
    "behind": 0,
    "processing_errors": 0,
    "forgotten": 0,
    "overflows": 0,
}
STATS: dict[str, Any] = {
    "scope": "host",
    "namespace": "shop",
    "version": "0.1.0",
    "mode": "on",
    "workers": [{"worker": 0, "pid": 1, "missing": ""}, {"worker": 1, "pid": 2, "missing": ""}],
    "total": route("total"),
    "routes": [
        route("/products/{id}"),
        route("/new", requests=0, passes={}, ratio=None, runs=NONE, saved=None),
    ],
    "tiers": [
        {
            "level": 1,
            "name": "memory",
            "hits": 80,
            "failures": {},
            "entries": 12,
            "bytes": 24_000,
            "limit": 67_108_864,
            "evictions": {"size": 3, "age": 0},
            "breaker": None,
        },
        {
            "level": 2,
            "name": "redis",
            "hits": 3,
            "failures": {"get": 2},
            "entries": None,
            "bytes": None,
            "limit": None,
            "evictions": {},
            "breaker": "open",
        },
    ],
    "log": LOG,
}
SWITCHED = {"worker": 0, "pid": 4711, "mode": "off", "was": "on", "missing": ""}
UNSWITCHED = {"worker": 1, "pid": None, "mode": None, "was": None, "missing": "timeout"}

INSTANCE: dict[str, Any] = {
    "node": "a" * 16,
    "self": True,
    "host": "web-1",
    "pid": 12,
    "application": "shop",
    "release": "1.4",
    "state": "up",
    "gen": "acd89f0c" * 4,
    "seq": 53,
    "behind": 0,
    "trusted": True,
    "queued": 0,
    "lag": 0.004,
    "ratio": 0.918,
    "rate": 12.3,
    "l1": {"bytes": 2048, "limit": 4096, "entries": 3},
    "breakers": {"redis": "closed"},
}
FLEET: dict[str, Any] = {
    "namespace": "shop",
    "source": "redis",
    "complete": True,
    "instances": [INSTANCE],
    "findings": [],
}
ILL = {
    **FLEET,
    "instances": [INSTANCE | {"trusted": False, "queued": 2, "breakers": {"redis": "open"}}],
    "findings": [{"kind": "untrusted", "text": "web-1/12 cannot follow", "nodes": ["a"]}],
}
COUNTED = {
    "dry_run": True,
    "selectors": [{"kind": "tag", "text": "product:1"}],
    "here": {"entries": 12, "bytes": 24_000},
    "unmatched": [{"kind": "tag", "text": "prodcut:1"}],
}
SEEN = {
    "by": 1,
    "of": 2,
    "seconds": 0.006,
    "instances": [
        {"node": "a", "host": "web-1", "pid": 12, "seen": True, "seq": 53},
        {"node": "b", "host": "web-2", "pid": 7, "seen": False, "seq": 12},
    ],
}
DROPPED = {
    "dry_run": False,
    "position": {"gen": "acd89f0c" * 4, "seq": 53},
    "committed": True,
    "queued": False,
    "seen": None,
}
QUEUED = {"dry_run": False, "position": None, "committed": False, "queued": True}
ENTRY = {
    "key": "r:ddc17dea0000000000000000000000ff",
    "kind": "response",
    "route": "/products/{id}",
    "status": 200,
    "size": 2094,
    "age": 12.1,
    "ttl": 287.9,
    "uses": 3,
    "state": "fresh",
    "tags": ["product:*"],
    "path": None,
    "name": None,
}
WARMED = {
    "asked": 3,
    "stored": 2,
    "hits": 1,
    "failed": 0,
    "bypassed": {},
    "failures": [],
    "of": 3,
    "next": None,
    "detail": "",
    "workers": [{"worker": 0, "missing": ""}],
}
EXPLAINED = {
    "verdict": "bypass",
    "sentence": "the request says who asks",
    "remedy": "write vary_by=",
    "docs": "https://asgi-multitier.readthedocs.io/reference/strategies/#requests-that-identify-a-user",
    "rule": {
        "route": "/products/{id}",
        "endpoint": "route GET /products/{id} (product)",
        "chosen_by": "annotation",
        "lifetime": 300.0,
    },
    "key": {"digest": "r:ddc1", "parts": ["scheme", "host", "path"]},
    "tags": ["product:{id}"],
    "entries": [
        {
            "tier": 1,
            "name": "memory",
            "state": "dropped",
            "age": 12.1,
            "ttl": 3.0,
            "dropped_because": [
                {"cause": "selector", "kind": "tag", "text": "product:{id}", "record": 53},
                {"cause": "selector", "kind": "all", "text": "", "record": 0},
                {"cause": "forgotten"},
            ],
        }
    ],
    "dropped_by": [{"by": "route PUT /products/{id}", "kind": "tag", "text": "product:{id}"}],
    "unknown": ["vary_by"],
}

NOWHERE = {
    "verdict": "bypass",
    "sentence": "no rule",
    "rule": {"route": "-", "endpoint": "", "chosen_by": "no-rule", "lifetime": None},
}
CHANGE = {
    "verdict": "change",
    "sentence": "it may change something",
    "rule": {
        "route": "/products/{id}",
        "endpoint": "route PUT /products/{id}",
        "chosen_by": "no-rule",
        "lifetime": None,
    },
    "drops": [
        {"by": "", "kind": "tag", "text": "product:{id}"},
        {"by": "", "kind": "url", "text": "/products/{id}"},
    ],
}

TABLE = """\
ROUTE           REQUESTS  HIT%  STALE  MISSES  PASSED  RUN P95  SAVED S  WHY PASSED
/products/{id}       100  95.5      1       4      10   400 ms     20.6  cookie 9, method 1
/new                   0     -      1       4       0        -        -
"""
HEADING = "shop   2 workers   95.5 % hits   100 requests   trusted\n"
TIERS = """\
L1 memory   80 hits   12 entries   23.4 KiB of 64.0 MiB   evicted: size 3
L2 redis   3 hits   failed: get 2   circuit breaker open
"""

Row = tuple[list[str], dict[str, Any], Exit, str]
ROWS: dict[str, Row] = {
    "stats": (["stats"], {"GET api/stats": STATS}, Exit.OK, HEADING + TABLE + TIERS),
    "stats of a log that is not trusted": (
        ["stats"],
        {
            "GET api/stats": STATS
            | {
                "routes": [],
                "tiers": [],
                "mode": "off",
                "workers": [*STATS["workers"], {"worker": 2, "pid": None, "missing": "silent"}],
                "log": LOG | {"trusted": False, "queued": 2, "behind": 1200},
            }
        },
        Exit.DEGRADED,
        (
            "shop   2 workers (1 did not answer)   95.5 % hits   100 requests   not trusted   "
            "1,200 behind   2 queued   switched off\n"
            "ROUTE  REQUESTS  HIT%  STALE  MISSES  PASSED  RUN P95  SAVED S  WHY PASSED\n"
        ),
    ),
    "stats of a cache whose audits have found something": (
        ["stats"],
        {
            "GET api/stats": STATS
            | {
                "routes": [],
                "tiers": [],
                "total": route("total", audits={"right": 9_000, "wrong": 1_234}),
            }
        },
        Exit.OK,
        (
            f"{HEADING.rstrip()}   1,234 wrong hits found by audits\n"
            "ROUTE  REQUESTS  HIT%  STALE  MISSES  PASSED  RUN P95  SAVED S  WHY PASSED\n"
        ),
    ),
    "stats of a cache of which one hit was wrong": (
        ["stats"],
        {
            "GET api/stats": STATS
            | {"routes": [], "tiers": [], "total": route("total", audits={"wrong": 1})}
        },
        Exit.OK,
        (
            f"{HEADING.rstrip()}   1 wrong hit found by audits\n"
            "ROUTE  REQUESTS  HIT%  STALE  MISSES  PASSED  RUN P95  SAVED S  WHY PASSED\n"
        ),
    ),
    "stats below a share": (
        ["stats", "--fail-below", "0.97"],
        {"GET api/stats": STATS},
        Exit.FINDING,
        HEADING + TABLE + TIERS,
    ),
    "top": (
        ["top", "--every", "0.2", "--times", "1"],
        {"GET api/stats": STATS},
        Exit.OK,
        HEADING + "ROUTE           REQ/S  HIT%  MISS/S  PASS/S  RUN P95\n"
        "/new              0.0     -     0.0     0.0        -\n"
        "/products/{id}    0.0     -     0.0     0.0   400 ms\n",
    ),
    "instances": (
        ["instances"],
        {"GET api/fleet": FLEET},
        Exit.OK,
        (
            "INSTANCE  STATE  RELEASE  RECORD       BEHIND     LAG    HITS  REQ/S"
            "              MEMORY\n"
            "web-1/12  up         1.4  acd89f0c:53       0  4.0 ms  91.8 %   12.3"
            "  2.0 KiB of 4.0 KiB\n"
        ),
    ),
    "instances with a finding": (
        ["instances"],
        {"GET api/fleet": ILL | {"complete": False}},
        Exit.DEGRADED,
        (
            "INSTANCE  STATE  RELEASE  RECORD       BEHIND     LAG    HITS  REQ/S"
            "              MEMORY\n"
            "web-1/12  up         1.4  acd89f0c:53       0  4.0 ms  91.8 %   12.3"
            "  2.0 KiB of 4.0 KiB  not trusted, 2 queued, redis open\n"
            "the server did not answer: others are not shown\n"
            "untrusted: web-1/12 cannot follow\n"
        ),
    ),
    "explain": (
        ["explain", "https://shop/products/1", "-H", "Authorization: Bearer x"],
        {"POST api/explain": EXPLAINED},
        Exit.OK,
        (
            "BYPASS   the request says who asks\n"
            "  rule     annotation on route GET /products/{id} (product)   300 s\n"
            "  key      r:ddc1   of scheme, host, path\n"
            "  tags     product:{id}\n"
            "  entry    L1 memory   dropped   12.1 s old   3.0 s left   dropped by tag "
            "product:{id} in record 53   dropped by all   dropped by forgotten\n"
            "  dropped  by route PUT /products/{id}: tag product:{id}\n"
            "  unknown  may decide: vary_by\n"
            "  fix      write vary_by=   https://asgi-multitier.readthedocs.io/reference/strategies/"
            "#requests-that-identify-a-user\n"
        ),
    ),
    "explain where no route is": (
        ["explain", "/nothing"],
        {"POST api/explain": NOWHERE},
        Exit.OK,
        "BYPASS   no rule\n",
    ),
    "explain what changes something": (
        ["explain", "/products/1", "-X", "PUT"],
        {"POST api/explain": CHANGE},
        Exit.OK,
        (
            "CHANGE   it may change something\n"
            "  rule     no-rule on route PUT /products/{id}\n"
            "  drops    tag product:{id}\n"
            "  drops    url /products/{id}\n"
        ),
    ),
    "explain what is not known": (
        ["explain", "/"],
        {"POST api/explain": {"verdict": "unknown", "sentence": "no application"}},
        Exit.OK,
        "UNKNOWN   no application\n",
    ),
    "invalidate": (
        ["invalidate", "--tag", "product:1"],
        {"POST api/invalidate": DROPPED},
        Exit.OK,
        "dropped   record 53 of acd89f0c\n",
    ),
    "invalidate and wait": (
        ["invalidate", "--tag", "product:1", "--wait", "2"],
        {"POST api/invalidate": DROPPED | {"seen": SEEN}},
        Exit.DEGRADED,
        (
            "dropped   record 53 of acd89f0c\n"
            "seen by 1/2 instances in 6 ms\n"
            "  not yet web-2/7   at 12\n"
        ),
    ),
    "invalidate, seen by all": (
        ["invalidate", "--tag", "product:1", "--wait", "2"],
        {"POST api/invalidate": DROPPED | {"seen": SEEN | {"by": 2, "instances": []}}},
        Exit.OK,
        "dropped   record 53 of acd89f0c\nseen by 2/2 instances in 6 ms\n",
    ),
    "invalidate while the log is away": (
        ["invalidate", "--tag", "product:1"],
        {"POST api/invalidate": (503, QUEUED)},
        Exit.QUEUED,
        (
            "queued: in force where it was asked for, and sent to the others\n"
            "when the log can be written again\n"
        ),
    ),
    "invalidate something broad": (
        ["invalidate", "--pattern", "/p*"],
        {"POST api/invalidate": COUNTED},
        Exit.USAGE,
        (
            "would drop 12 entries, 23.4 KiB in the memory of the process that answered, and what "
            "matches elsewhere\nnothing there has tag prodcut:1\n"
        ),
    ),
    "count of a machine": (
        ["invalidate", "--tag", "product:1", "--dry-run"],
        {
            "POST api/invalidate": COUNTED
            | {
                "unmatched": [],
                "host": {
                    "entries": 30,
                    "bytes": 60_000,
                    "workers": [
                        {"worker": 0, "missing": ""},
                        {"worker": 1, "missing": ""},
                        {"worker": 2, "missing": "silent"},
                    ],
                },
            }
        },
        Exit.DEGRADED,
        (
            "would drop 30 entries, 58.6 KiB in the memory of 2 workers of one machine, and what "
            "matches elsewhere\nnot counted worker 2: silent\n"
        ),
    ),
    "count of one": (
        ["invalidate", "--tag", "product:1", "--dry-run"],
        {
            "POST api/invalidate": COUNTED
            | {"unmatched": [], "here": {"entries": 1, "bytes": 24_000}}
        },
        Exit.OK,
        (
            "would drop 1 entry, 23.4 KiB in the memory of the process that answered, and what "
            "matches elsewhere\n"
        ),
    ),
    "count only": (
        ["invalidate", "--tag", "product:1", "--dry-run"],
        {"POST api/invalidate": COUNTED | {"unmatched": []}},
        Exit.OK,
        (
            "would drop 12 entries, 23.4 KiB in the memory of the process that answered, and what "
            "matches elsewhere\n"
        ),
    ),
    "keys": (
        ["keys"],
        {"GET api/entries": {"entries": [ENTRY], "total": 12, "cursor": None}},
        Exit.OK,
        (
            "KEY             KIND      ROUTE           STATUS     SIZE  AGE S  LEFT S  USES  "
            "STATE  TAGS\n"
            "r:ddc17dea0000  response  /products/{id}     200  2.0 KiB   12.1   287.9     3  "
            "fresh  product:*\n"
            "1 shown of 12 in memory\n"
        ),
    ),
    "keys in pages": (
        ["keys", "--limit", "2"],
        {
            "GET api/entries": [
                {"entries": [], "total": 12, "cursor": "c"},
                {
                    "entries": [ENTRY | {"path": "/p"}, ENTRY | {"name": "n"}],
                    "total": 12,
                    "cursor": "d",
                },
            ]
        },
        Exit.OK,
        (
            "KEY  KIND      ROUTE           STATUS     SIZE  AGE S  LEFT S  USES  STATE  TAGS\n"
            "/p   response  /products/{id}     200  2.0 KiB   12.1   287.9     3  fresh  "
            "product:*\n"
            "n    response  /products/{id}     200  2.0 KiB   12.1   287.9     3  fresh  "
            "product:*\n"
            "2 shown of 12 in memory, and there may be more (--limit)\n"
        ),
    ),
    "warm": (
        ["warm", "/a", "/b"],
        {"POST api/warm": WARMED},
        Exit.OK,
        "asked for 3   2 stored   1 were there   0 failed\n",
    ),
    "warm in parts": (
        ["warm", "--top", "200"],
        {
            "POST api/warm": [
                WARMED | {"next": 100, "bypassed": {"no-rule": 1}},
                WARMED
                | {
                    "failed": 1,
                    "bypassed": {"no-rule": 1},
                    "failures": [{"url": None, "why": "LookupError"}],
                    "workers": [{"worker": 0, "missing": ""}, {"worker": 1, "missing": "silent"}],
                },
            ]
        },
        Exit.DEGRADED,
        (
            "asked for 6 by 2 workers   4 stored   2 were there   1 failed\n"
            "not stored  2  no-rule\n"
            "failed  one of them: LookupError\n"
            "no answer  of worker 1 (silent)\n"
        ),
    ),
    "warm without a list": (
        ["warm", "--top", "200"],
        {"POST api/warm": WARMED | {"asked": 0, "stored": 0, "hits": 0, "detail": "no list"}},
        Exit.DEGRADED,
        "asked for 0   0 stored   0 were there   0 failed\nno list\n",
    ),
    "warm that gets no further": (
        ["warm", "/a"],
        {"POST api/warm": WARMED | {"next": 0}},
        Exit.OK,
        "asked for 3   2 stored   1 were there   0 failed\n",
    ),
    "mode": (
        ["mode"],
        {"GET api": {"mode": "on", "pid": 4711}},
        Exit.OK,
        "the cache is on in process 4711\n",
    ),
    "mode off": (
        ["mode", "off"],
        {"POST api/mode": {"mode": "off", "was": "on", "workers": [SWITCHED, SWITCHED]}},
        Exit.OK,
        "the cache is off in 2/2 workers of the machine that answered\n",
    ),
    "mode shadow": (
        ["mode", "shadow"],
        {"POST api/mode": {"mode": "shadow", "was": "on", "workers": [SWITCHED]}},
        Exit.OK,
        (
            "the cache is in shadow mode (it only observes) in 1/1 workers of the machine that"
            " answered\n"
        ),
    ),
    "mode on of a process that has observed": (
        ["mode", "on", "--process"],
        {"POST api/mode": {"mode": "on", "was": "shadow"}},
        Exit.OK,
        "the cache is on, it was in shadow mode (it only observes)\n",
    ),
    "mode off where a worker is silent": (
        ["mode", "off"],
        {"POST api/mode": {"mode": "off", "was": "on", "workers": [SWITCHED, UNSWITCHED]}},
        Exit.DEGRADED,
        (
            "the cache is off in 1/2 workers of the machine that answered\n"
            "  not switched worker 1: timeout\n"
        ),
    ),
    "mode off of a process without sockets": (
        ["mode", "off"],
        {"POST api/mode": {"mode": "off", "was": "on", "workers": [SWITCHED | {"worker": None}]}},
        Exit.OK,
        "the cache is off, it was on\n",
    ),
    "mode off of one process": (
        ["mode", "off", "--process"],
        {"POST api/mode": {"mode": "off", "was": "on"}},
        Exit.OK,
        "the cache is off, it was on\n",
    ),
    "doctor": (
        ["doctor"],
        {"GET api/fleet": FLEET, "GET api/stats": STATS},
        Exit.OK,
        "ok   1 instance, one generation of the log\nok   the log is followed\n",
    ),
    "doctor with a finding": (
        ["doctor"],
        {"GET api/fleet": ILL, "GET api/stats": STATS},
        Exit.FINDING,
        (
            "ok   1 instance, one generation of the log\n"
            "fail web-1/12 cannot follow\n"
            "ok   the log is followed\n"
        ),
    ),
    "doctor without a server": (
        ["doctor"],
        {"GET api/fleet": FLEET | {"complete": False}, "GET api/stats": STATS},
        Exit.UNREACHABLE,
        (
            "fail the server of the log does not answer: other instances are not known\n"
            "ok   the log is followed\n"
        ),
    ),
    "tail": (
        ["tail", "--kind", "fill"],
        {
            "GET api/events": b'event: hello\ndata: {"id":1}\n\n: alive\n\nevent: fill\ndata: '
            b'{"id":2,"kind":"fill","route":"/p","selectors":[{"kind":"tag","text":"a"}]}\n\n'
        },
        Exit.OK,
        "          fill         route=/p  selectors=tag:a\n",
    ),
    "tail of one event": (
        ["tail", "--times", "1"],
        {"GET api/events": b'data: {"kind":"gap"}\n\ndata: {"kind":"flush"}\n\n'},
        Exit.OK,
        "          gap\n",
    ),
}


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    """The token stands in the environment, and this machine has no directories of workers."""
    monkeypatch.setattr("asgi_multitier.cli.checkup.parents", lambda: iter(()))
    monkeypatch.setenv("ASGI_MULTITIER_ADMIN_TOKEN", TOKEN)


@pytest.mark.parametrize("name", ROWS)
def test_what_it_writes(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The text and the code of each."""
    arguments, answers, code, text = ROWS[name]
    with served(answers) as server:
        ended = main([*arguments, "--url", server.url])

    assert (ended, capsys.readouterr().out) == (code, text)
    assert {asked.token for asked in server.asked} == {TOKEN}


@pytest.mark.parametrize("name", ROWS)
def test_json(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The same code; each line is an object, and nothing else is written."""
    arguments, answers, code, _ = ROWS[name]
    with served(answers) as server:
        ended = main([*arguments, "--json", "--url", server.url])

    lines = capsys.readouterr().out.splitlines()
    assert ended == code
    assert lines
    assert all(isinstance(json.loads(line), dict) for line in lines)


ASKED: tuple[tuple[Sequence[str], str, dict[str, Any] | None], ...] = (
    (["stats"], "api/stats?scope=host", None),
    (["stats", "--process", "--route", "/a"], "api/stats?scope=process&route=%2Fa", None),
    (["tail", "--kind", "gap,fill"], "api/events?kind=gap%2Cfill", None),
    (
        ["keys", "--tag", "a", "--sort", "size", "--reveal", "--limit", "9"],
        "api/entries?tag=a&sort=size&limit=9&reveal=1",
        None,
    ),
    (
        ["explain", "/a", "-X", "POST", "-H", "A: b:c"],
        "api/explain",
        {"method": "POST", "url": "/a", "headers": [["A", "b:c"]]},
    ),
    (["mode", "on"], "api/mode", {"mode": "on", "scope": "host"}),
    (["mode", "on", "--process"], "api/mode", {"mode": "on", "scope": "process"}),
    (["warm", "--top", "9"], "api/warm", {"top": 9, "scope": "host"}),
    (
        ["warm", "/a", "/b", "--base-url", "http://a", "--rate", "9", "--concurrency", "3"],
        "api/warm",
        {
            "targets": ["/a", "/b"],
            "base_url": "http://a",
            "rate": 9,
            "concurrency": 3,
            "scope": "host",
        },
    ),
    (
        ["invalidate", "--key", "a", "--key", "b", "--settle", "2"],
        "api/invalidate",
        {"keys": ["a", "b"], "settle": 2.0, "scope": "host"},
    ),
    (
        ["invalidate", "--below", "/a", "--yes", "--wait", "1"],
        "api/invalidate",
        {"below": ["/a"], "dry_run": False, "wait": 1.0},
    ),
    (
        ["invalidate", "--all", "shop", "--dry-run"],
        "api/invalidate",
        {"all": True, "confirm": "shop", "dry_run": True, "scope": "host"},
    ),
)


@pytest.mark.parametrize(("arguments", "target", "body"), ASKED)
def test_what_it_asks(arguments: list[str], target: str, body: dict[str, Any] | None) -> None:
    """The path with its query, and the object that is sent."""
    with served({}) as server:
        main([*arguments, "--url", server.url])

    method = "GET" if body is None else "POST"
    assert server.asked == [Asked(method, target, TOKEN, body)]


WRONG = (
    ["stats", "--fail-below", "2"],
    ["top", "--every", "0"],
    ["keys", "--limit", "0"],
    ["keys", "--sort", "colour"],
    ["explain", "/", "-H", "nothing"],
    ["invalidate"],
    ["invalidate", "--tag", "a", "--yes", "--dry-run"],
    ["invalidate", "--tag", "a", "--wait", "nan"],
    ["invalidate", "--tag", "a", "--wait", "-1"],
    ["invalidate", "--tag", "a", "--wait", "inf"],
    ["invalidate", "--tag", "a", "--settle", "soon"],
    ["mode", "up"],
    ["warm"],
    ["warm", "/a", "--top", "9"],
    ["warm", "--top", "many"],
    ["instances", "--redis", "redis://127.0.0.1:1"],
)


@pytest.mark.parametrize("arguments", WRONG)
def test_arguments_that_are_wrong(arguments: list[str]) -> None:
    """Nothing is asked."""
    with served({}) as server:
        assert main([*arguments, "--url", server.url]) == Exit.USAGE

    assert server.asked == []


NOTES = (
    (DROPPED, ""),
    (DROPPED | {"unmatched": []}, ""),
    (DROPPED | {"unmatched": None}, ""),
    (DROPPED | {"unmatched": [{"kind": "tag", "text": "prodcut:1"}]}, "has tag prodcut:1: is it"),
)


@pytest.mark.parametrize(("answer", "note"), NOTES)
def test_what_matched_nothing_is_noted(
    answer: dict[str, Any], note: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is no failure: it may be held elsewhere."""
    with served({"POST api/invalidate": answer}) as server:
        assert main(["invalidate", "--tag", "prodcut:1", "--url", server.url]) == Exit.OK

    told = capsys.readouterr()
    assert told.out == "dropped   record 53 of acd89f0c\n"
    assert note in told.err
    assert bool(told.err) is bool(note)


IDLE = {"requests": 0, "stale": 0, "misses": 0, "passes": {}}


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        (IDLE, False),
        *((IDLE | {name: 1}, True) for name in ("requests", "stale", "misses")),
        (IDLE | {"passes": {"off": 1}}, True),
    ],
)
def test_the_managers_row_is_shown_if_it_is_used(changes: dict[str, Any], shown: bool) -> None:
    """Those of routes always are: that one is not asked for tells something."""
    listed = [row[0] for row in rows([route("/a", **IDLE), route("manager", **changes)])]

    assert listed == ["/a", "manager"][: 1 + shown]


CONFIGS = (
    ({"settings": [{"name": "redis_url", "value": "redis://cache:6379/0"}]}, " at redis://cache"),
    ({"settings": [{"name": "redis_url", "value": None}]}, "log does"),
    ({"settings": []}, "log does"),
    ((403, {"detail": "not for you"}), "log does"),
)


@pytest.mark.parametrize(("config", "text"), CONFIGS)
def test_a_lost_server_is_named(config: Any, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Where its address is told."""
    answers = {
        "GET api/fleet": FLEET | {"complete": False},
        "GET api/stats": STATS,
        "GET api/config": config,
    }
    with served(answers) as server:
        assert main(["doctor", "--url", server.url]) == Exit.UNREACHABLE

    assert text in capsys.readouterr().out


def test_many_targets_are_several_requests() -> None:
    """Of a hundred each; what there was no time for begins the next one."""
    names = [f"/{number}" for number in range(101)]
    answers = [WARMED | {"next": 60}, WARMED, WARMED]
    with served({"POST api/warm": answers}) as server:
        assert main(["warm", *names, "--url", server.url]) == Exit.OK

    assert [asked.body for asked in server.asked] == [
        {"targets": names[:100], "scope": "host"},
        {"targets": names[:100], "scope": "host", "skip": 60},
        {"targets": names[100:], "scope": "host"},
    ]


def test_what_happens_in_a_second() -> None:
    """Differences over the time between; what began again counts from 0."""
    before = {"routes": [route("/a"), route("/b")]}
    after = {
        "routes": [
            route("/a", requests=120, hits={"1": 100}, misses=8, passes={"cookie": 10}),
            route("/b", requests=20, hits={"1": 6}, stale=0, coalesced=0, misses=2, passes={}),
            route("/c", requests=2, hits={}, stale=0, coalesced=0, misses=2, passes={}),
        ]
    }
    found = changed(before, after, 2.0)

    assert [(one["requests"], one["misses"], one["passes"], one["ratio"]) for one in found] == [
        (10.0, 2.0, 0.0, 8.5 / 10.5),
        (10.0, 1.0, 0.0, 0.75),
        (1.0, 1.0, 0.0, 0.0),
    ]
