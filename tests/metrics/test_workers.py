"""Figures of several workers: joined in a scrape, and summed in the statistics."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics import parser as open_parser
from prometheus_client.parser import text_string_to_metric_families

from asgi_multitier import CacheManager
from asgi_multitier.engine.sampling import Key
from asgi_multitier.metrics import text as text_module
from asgi_multitier.metrics.hot import hottest
from asgi_multitier.policy.key import storage_key
from tests.metrics.test_text import figure, figures
from tests.support import Client


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory of the test's own."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", os.fspath(tmp_path))


@asynccontextmanager
async def cluster(count: int, **settings: Any) -> AsyncIterator[list[CacheManager]]:
    """Workers of one application; worker n has answered n + 1 hits of `/a` and missed one of `/n`.

    Their event loop is the same, so that a test can look into each.
    """
    async with AsyncExitStack() as stack:
        made = []
        for number in range(count):
            manager = CacheManager(redis_url=None, namespace="shop", **settings)
            manager.workers.is_wanted = True
            await stack.enter_async_context(manager)
            events = manager.engine.events
            events.tally("/a").local = number + 1
            events.tally(f"/{number}").misses = 1
            events.tally(f"/{number}").runs.add(0.2)
            events.invalidated("/a", "url")
            events.failures["origin"] += number
            made.append(manager)
        yield made


FORMATS = [
    pytest.param("*/*", text_string_to_metric_families, id="0.0.4"),
    pytest.param(
        "application/openmetrics-text", open_parser.text_string_to_metric_families, id="O"
    ),
]


@pytest.mark.parametrize("piece", [1, 128 * 1024], ids=["many pieces", "few pieces"])
@pytest.mark.parametrize(("accept", "parse"), FORMATS)
async def test_one_scrape_has_all(
    accept: str, parse: Callable[[str], Any], piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever is asked; each family has its head once."""
    monkeypatch.setattr(text_module, "_PIECE", piece)
    async with cluster(3) as workers:
        workers[0].engine.events.tally("/# HELP\n# HELP x").misses = 1
        replies = [await Client(one.metrics()).get("/", [("accept", accept)]) for one in workers]
    texts = [reply.body.decode() for reply in replies]
    found = figures(parse(texts[1]))

    assert sorted(texts[0]) == sorted(texts[1]) == sorted(texts[2])
    for worker in ("0", "1", "2"):
        labels = {"route": "/a", "outcome": "hit", "tier": "1", "worker": worker}
        assert figure(found, "requests_total", **labels) == int(worker) + 1
        own = {"route": f"/{worker}", "worker": worker}
        assert figure(found, "run_duration_seconds_count", **own) == 1
    assert figure(found, "workers_unanswered") == 0
    heads = [line for line in texts[1].splitlines() if line.startswith("# TYPE")]
    assert len(heads) == len(set(heads))


def test_a_family_of_another_release_has_one_head() -> None:
    """Also if that says something else of it, or has families that this one has not."""
    ours = ["# HELP a_x What.\n# TYPE a_x gauge\n", 'a_x{worker="0"} 1\n']
    theirs = ["# HELP a_x Else.\n# TYPE a_x gauge\n", 'a_x{worker="1"} 2\n']
    theirs += ["# HELP a_y New.\n# TYPE a_y gauge\n", 'a_y{worker="1"} 3\n']
    text = "".join(text_module.joined([ours, theirs], 0, openmetrics=False))

    assert text.startswith("".join([*ours, theirs[1], *theirs[2:]]))
    assert text.count("# HELP a_x") == 1


async def test_what_does_not_answer_is_counted() -> None:
    """And the others' figures are there."""
    async with cluster(3) as workers:

        async def fail(_: Any) -> Any:
            raise RuntimeError("no")

        workers[1].workers.answers("metrics", fail)
        workers[1].workers.answers("stats", fail)
        workers[2].workers.answers("stats", _strange)
        reply = await Client(workers[0].metrics()).get("/")
        stats = await workers[0].metrics.host_json()
    found = figures(text_string_to_metric_families(reply.body.decode()))

    assert figure(found, "workers_unanswered") == 1
    assert {dict(key[1])["worker"] for key in found if key[0] == "info"} == {"0", "2"}
    assert [one["missing"] for one in stats["workers"]] == ["", "failed", "failed"]
    assert stats["total"]["hits"] == {"1": 1}


async def _strange(_: Any) -> Any:
    return {"routes": [], "rest": {}}


async def test_a_worker_that_is_asked_alone_answers_for_itself() -> None:
    """With `workers=False`, by the label that all know it by."""
    async with cluster(2) as workers:
        reply = await Client(workers[1].metrics(workers=False)).get("/")
        text = workers[1].metrics.text()

    found = figures(text_string_to_metric_families(reply.body.decode()))
    assert {dict(key[1])["worker"] for key in found} == {"1"}
    assert ("workers_unanswered", frozenset()) not in found
    assert "worker=" not in text


async def test_without_a_number_there_is_no_label() -> None:
    """Where it is switched off, a process is alone."""
    async with cluster(2, workers=False) as workers:
        reply = await Client(workers[1].metrics()).get("/")

    found = figures(text_string_to_metric_families(reply.body.decode()))
    assert figure(found, "requests_total", route="/a", outcome="hit", tier="1") == 2
    assert figure(found, "workers_unanswered") == 0


async def test_a_mounted_scrape_makes_a_process_a_worker() -> None:
    """Also where no middleware serves the application."""
    manager = CacheManager(redis_url=None, namespace="shop")
    manager.metrics()
    async with manager:
        assert manager.workers.number == 0
    other = CacheManager(redis_url=None, namespace="shop")
    other.metrics(workers=False)
    async with other:
        assert other.workers.number is None


async def test_statistics_are_those_of_all_or_of_one() -> None:
    """Summed by route; what follows from sums is computed of sums."""
    async with cluster(3) as workers:
        host = await workers[1].metrics.host_json()
        one = workers[1].metrics.json()
        alone = await workers[1].metrics.host_json("/a")
        pid = os.getpid()

    assert (host["scope"], one["scope"]) == ("host", "process")
    expected = [{"worker": number, "pid": pid, "missing": ""} for number in (1, 0, 2)]
    assert host["workers"] == expected
    assert one["workers"] == expected[:1]
    assert [route["route"] for route in host["routes"]] == ["/a", "/0", "/1", "/2"]
    assert [route["route"] for route in one["routes"]] == ["/a", "/1"]
    assert [route["route"] for route in alone["routes"]] == ["/a"]
    assert (host["total"]["hits"], one["total"]["hits"]) == ({"1": 6}, {"1": 2})
    assert host["total"]["ratio"] == 6 / 9
    assert host["total"]["runs"]["count"] == 3
    assert host["routes"][0]["invalidations"] == {"url": 3}
    assert host["failures"] == {"origin": 3}
    assert host["tiers"][0]["hits"] == 6
    assert host["tiers"][0]["limit"] == 3 * 64 * 1024 * 1024
    assert host["log"]["trusted"] is True


def _key(name: str, share: float) -> dict[str, Any]:
    return {"digest": name, "route": "/a", "share": share, "size": 1, "path": None}


def test_shares_of_keys_weigh_by_what_was_seen() -> None:
    """Of a worker that has answered little, little counts."""
    busy = {"samples": 30.0, "keys": [_key("a", 0.5), _key("b", 0.2)]}
    idle = {"samples": 10.0, "keys": [_key("b", 1.0)]}
    found = hottest([busy, idle], 5)

    assert found["samples"] == 40.0
    assert [(key["digest"], key["share"]) for key in found["keys"]] == [
        ("b", pytest.approx(0.4)),
        ("a", pytest.approx(0.375)),
    ]
    assert [key["digest"] for key in hottest([busy, idle], 1)["keys"]] == ["b"]
    assert hottest([], 5) == {"samples": 0, "keys": []}


@pytest.mark.parametrize("reveal", [False, True])
async def test_hot_keys_are_those_of_all_workers(reveal: bool) -> None:
    """Their paths are told only where that is asked for."""
    async with cluster(2) as workers:
        for worker, path in zip(workers, ("/a/1", "/a/2"), strict=True):
            worker.engine.sampler.keys.add(
                f"k{path}", Key("/a/{id}", path, 9), worker.engine.clock()
            )
        workers[0].engine.sampler.keys.add("v", Key("manager", "", 3), workers[0].engine.clock())
        found = await workers[1].metrics.host_hot(reveal=reveal)
        own = workers[1].metrics.hot(reveal=reveal)
        assert all(worker.engine.sampler.is_on for worker in workers)

    assert {(key["digest"], key["path"]) for key in found["keys"]} == {
        (storage_key("k/a/1"), "/a/1" if reveal else None),
        (storage_key("k/a/2"), "/a/2" if reveal else None),
        (storage_key("v"), None),
    }
    assert [key["digest"] for key in own["keys"]] == [storage_key("k/a/2")]
    assert own["keys"][0]["route"] == "/a/{id}"
