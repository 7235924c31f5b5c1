"""`asgi-multitier report`: what it asks, writes and ends with."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from asgi_multitier.admin.reports import NOT_OBSERVED
from asgi_multitier.cli.exits import Exit
from asgi_multitier.cli.main import main
from asgi_multitier.shadow import Cause, Finding, Report, RouteReport
from asgi_multitier.shadow.joined import Teller, cache_report
from asgi_multitier.shadow.reading import Part
from tests.cli.admin import TOKEN, Asked, served
from tests.shadow.samples import EDIT, PRICES, REPORT, RIGHT, UNRULED


def found(
    *routes: RouteReport,
    observes: bool = True,
    seconds: float = 90_000.0,
    pending: int = 0,
    missing: str = "",
) -> dict[str, Any]:
    """What an admin application answers."""
    part = Part(report=Report(routes=routes), observes=observes, seconds=seconds, pending=pending)
    workers = [Teller(worker=0, pid=1), Teller(worker=1, pid=2, missing=missing)]
    return cache_report("shop", "host", [part], workers).as_json()


HOSTILE = replace(
    RIGHT, route="GET /\x1b[2J", annotation='@cached(60, vary=["\x1b"])', lifetime=None
)
BARE = replace(RIGHT, annotation=None)
RARE = RouteReport(route="GET /rare", rule=False, requests=2, why="It was asked 2 times")
NOT_KNOWN = Finding(cause=Cause.UNKNOWN, wrong=1, remedy="Watch for longer")

Row = tuple[list[str], dict[str, Any], Exit, str]
ROWS: dict[str, Row] = {
    "wrong answers": (
        [],
        found(*REPORT.routes, UNRULED, RARE, missing="silent"),
        Exit.FINDING,
        """\
shop   1 worker (1 did not answer)   382 requests in 25 h   22 wrong answers
ROUTE               RULE  REQUESTS  HIT%   SAVED    MEMORY  WRONG  LIFETIME  NOT MET
GET /prices/{id}    yes        120  75.0  18.2 s  29.3 KiB     15      60 s
GET /token          yes         10  90.0   90 ms    1000 B      7         -
GET /products/{id}  yes         50  80.0   4.0 s   9.8 KiB      0     5 min  set-cookie 10
GET /books          none       200  90.0  36.0 s   4.9 KiB      -     5 min
GET /rare           none         2     -    0 ms       0 B      -         -

GET /prices/{id}
  field accept-currency or cookie currency   12 wrong at $.price   98.0 % sure
    Answers differ by a request field that is not in the key: name it in vary=
  edit PUT /prices/{id}   3 wrong at $.price   80.0 % sure
    This mutation changes the answer and drops nothing: give both the same tag
  2 hits were of older data, within their lifetime
  compared: 50.0 % of its keys
  # GET /prices/{id}
  @cached(60, tags=["price:{id}"], vary=["accept-currency"])
  # PUT /prices/{id}
  @invalidates(tags=["price:{id}"])

GET /token
  random   7 wrong at $.token   100.0 % sure
    It is never the same: do not cache it
  # GET /token
  @no_cache

GET /products/{id}
  # GET /products/{id}
  @cached(300, tags=["product:{id}"])

GET /books
  Answers stay the same for 400 s at least: 5 min fits
  # GET /books
  @cached(300, tags=["book"])

GET /rare
  It was asked 2 times
""",
    ),
    "none": (
        [],
        found(BARE, observes=False, seconds=3, pending=4),
        Exit.OK,
        """\
shop   2 workers   50 requests in 3 s   0 wrong answers   4 still compared   not observed now
ROUTE               RULE  REQUESTS  HIT%  SAVED   MEMORY  WRONG  LIFETIME  NOT MET
GET /products/{id}  yes         50  80.0  4.0 s  9.8 KiB      0     5 min  set-cookie 10
""",
    ),
    "nothing yet": (
        [],
        found(seconds=3),
        Exit.OK,
        ("shop   2 workers   0 requests in 3 s   0 wrong answers\nno request was observed yet\n"),
    ),
    "one": (
        ["--process"],
        found(replace(BARE, wrong=1), seconds=2e6),
        Exit.FINDING,
        """\
shop   2 workers   50 requests in 23 d   1 wrong answer
ROUTE               RULE  REQUESTS  HIT%  SAVED   MEMORY  WRONG  LIFETIME  NOT MET
GET /products/{id}  yes         50  80.0  4.0 s  9.8 KiB      1     5 min  set-cookie 10
""",
    ),
    "a cause of a route without a rule": (
        [],
        found(replace(RARE, findings=(replace(EDIT, wrong=0),), why="")),
        Exit.OK,
        """\
shop   2 workers   2 requests in 25 h   0 wrong answers
ROUTE      RULE  REQUESTS  HIT%  SAVED  MEMORY  WRONG  LIFETIME  NOT MET
GET /rare  none         2     -   0 ms     0 B      -         -

GET /rare
  edit PUT /prices/{id}   answers differ at $.price   80.0 % sure
    This mutation changes the answer and drops nothing: give both the same tag
  # PUT /prices/{id}
  @invalidates(tags=["price:{id}"])
""",
    ),
    "a cause that is not known": (
        [],
        found(replace(BARE, wrong=1, findings=(NOT_KNOWN,)), seconds=3),
        Exit.FINDING,
        """\
shop   2 workers   50 requests in 3 s   1 wrong answer
ROUTE               RULE  REQUESTS  HIT%  SAVED   MEMORY  WRONG  LIFETIME  NOT MET
GET /products/{id}  yes         50  80.0  4.0 s  9.8 KiB      1     5 min  set-cookie 10

GET /products/{id}
  unknown   1 wrong
    Watch for longer
""",
    ),
    "a worker that does not answer": (
        ["--annotations"],
        found(RIGHT, missing="silent"),
        Exit.DEGRADED,
        '# GET /products/{id}\n@cached(300, tags=["product:{id}"])\n',
    ),
    "one route": (
        ["--route", "GET /products/{id}"],
        found(PRICES, BARE, seconds=300),
        Exit.OK,  # of the route that was asked for
        """\
shop   2 workers   170 requests in 5 min   15 wrong answers
ROUTE               RULE  REQUESTS  HIT%  SAVED   MEMORY  WRONG  LIFETIME  NOT MET
GET /products/{id}  yes         50  80.0  4.0 s  9.8 KiB      0     5 min  set-cookie 10
""",
    ),
    "annotations": (
        ["--annotations"],
        found(PRICES, replace(RIGHT, findings=(EDIT,))),
        Exit.FINDING,
        """\
# GET /prices/{id}
@cached(60, tags=["price:{id}"], vary=["accept-currency"])
# PUT /prices/{id}
@invalidates(tags=["price:{id}"])
# GET /products/{id}
@cached(300, tags=["product:{id}"])
""",
    ),
    "texts that steer a terminal": (
        ["--annotations"],
        found(HOSTILE),
        Exit.OK,
        '# GET /\\x1b[2J\n@cached(60, vary=["\\x1b"])\n',
    ),
}


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    """The token stands in the environment."""
    monkeypatch.setenv("ASGI_MULTITIER_ADMIN_TOKEN", TOKEN)


@pytest.mark.parametrize("name", ROWS)
def test_what_it_writes(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The text and the code of each."""
    arguments, report, code, text = ROWS[name]
    with served({"GET api/report": report}) as server:
        ended = main(["report", *arguments, "--url", server.url])

    assert (ended, capsys.readouterr().out) == (code, text)


@pytest.mark.parametrize("name", ROWS)
def test_json(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The same code, and what the admin application answers."""
    arguments, report, code, _ = ROWS[name]
    with served({"GET api/report": report}) as server:
        ended = main(["report", *arguments, "--json", "--url", server.url])

    told = json.loads(capsys.readouterr().out)
    assert ended == code
    assert told == report | {"routes": told["routes"]}
    assert len(told["routes"]) == (1 if "--route" in arguments else len(report["routes"]))


CLEAR = {"clear": True, "scope": "host"}
ASKED: tuple[tuple[Sequence[str], str, dict[str, Any] | None], ...] = (
    ([], "api/report?scope=host", None),
    (["--process"], "api/report?scope=process", None),
    (["--clear"], "api/report", CLEAR),
    (["--clear", "--process"], "api/report", CLEAR | {"scope": "process"}),
)


@pytest.mark.parametrize(("arguments", "target", "body"), ASKED)
def test_what_it_asks(arguments: list[str], target: str, body: dict[str, Any] | None) -> None:
    """The path with its query, and the object that is sent."""
    with served({}) as server:
        main(["report", *arguments, "--url", server.url])

    assert server.asked == [Asked("GET" if body is None else "POST", target, TOKEN, body)]


FAILED: dict[str, tuple[list[str], Any, Exit, str]] = {
    "not observed": (
        [],
        (409, {"detail": NOT_OBSERVED}),
        Exit.USAGE,
        "asgi-multitier mode shadow",
    ),
    "a route that is none": (
        ["--route", "GET /x"],
        found(RIGHT),
        Exit.USAGE,
        "nothing was observed of it",
    ),
    "no rights": (["--clear"], (403, {"detail": "for operators"}), Exit.NOT_ALLOWED, "operators"),
    "of another release": ([], {"routes": [{}]}, Exit.UNREACHABLE, "cannot be read"),
}


@pytest.mark.parametrize("name", FAILED)
def test_what_fails_says_what_to_do(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With a code of its own."""
    arguments, answer, code, words = FAILED[name]
    with served({"GET api/report": answer, "POST api/report": answer}) as server:
        ended = main(["report", *arguments, "--url", server.url])

    assert ended == code
    assert words in capsys.readouterr().err
