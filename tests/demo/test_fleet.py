"""A fleet of real processes: what instances share, what survives a death, and how it ends."""

import re
import shutil
import signal
import socket
import subprocess

import httpx
import pytest

from demo_app.fleet.__main__ import watch
from demo_app.fleet.burst import burst
from demo_app.fleet.fleet import Fleet
from demo_app.fleet.instance import Instance
from demo_app.ports import listen
from tests.demo.support import DRAFT, ask, is_hit, new_product, shared, started, until_whole
from tests.patience import wait_for

pytestmark = pytest.mark.no_cover  # what it tests runs in other processes


def press(fleet: Fleet, name: str, act: str) -> None:
    """Do what a button of the page does."""
    httpx.post(
        f"{fleet.page}/parts/{name}/{act}",
        headers={"authorization": f"Bearer {fleet.token}"},
        timeout=60,
    ).raise_for_status()


def test_answer_is_shared_and_edit_is_seen_by_the_other(fleet: Fleet) -> None:
    """B finds A's response in the second tier; after A's edit B serves the new version."""
    with httpx.Client(timeout=60) as client:
        path = f"/products/{new_product(fleet)}"
        urls = [f"{address}{path}" for address in fleet.addresses]
        with shared(fleet.valkey.url):
            first = client.get(urls[0]).raise_for_status()
        second = client.get(urls[1]).raise_for_status()
        version = first.json()["version"]
        edited = client.put(urls[0], json=DRAFT.model_dump()).raise_for_status()
        own = client.get(urls[0])
        wait_for(lambda: client.get(urls[1]).json()["version"] != version)
        other = client.get(urls[1])

    assert "detail=l2" in second.headers["cache-status"]
    assert first.content == second.content
    assert version + 1 == edited.json()["version"]
    assert edited.json() == own.json() == other.json()
    assert re.fullmatch(r"total;dur=\d+\.\d{3}", other.headers["server-timing"])


def test_token_of_this_run_is_for_all_instances(fleet: Fleet) -> None:
    """It is in no command line, where other users could read it."""
    for instance in fleet.instances:
        right = ask(
            f"{instance.address}/_cache/api", headers={"authorization": f"Bearer {fleet.token}"}
        )

        assert right.json()["rights"] == "operator"
        assert instance.process is not None
        assert fleet.token not in str(instance.process.args)


@pytest.mark.parametrize("coalesce", [True, False])
async def test_burst_runs_the_application_as_often_as_answers_say(
    fleet: Fleet, coalesce: bool
) -> None:
    """Once for 200 requests with coalescing; without, each that finds nothing has a run."""
    state = f"{fleet.addresses[0]}/instance"
    async with httpx.AsyncClient(timeout=60) as client:
        before = (await client.get(state)).json()["calls"]["stock"]
        told = await burst(fleet.addresses[0], coalesce=coalesce)
        runs = (await client.get(state)).json()["calls"]["stock"] - before
    own = sum(
        count
        for status, count in told["statuses"].items()
        if "fwd=" in status and "collapsed" not in status
    )

    assert told["requests"] == sum(told["statuses"].values()) == 200
    assert own == runs
    assert runs == 1 if coalesce else runs > 1


def test_valkey_dies_and_comes_back(fleet: Fleet) -> None:
    """No request fails meanwhile, an edit is in force where it was made, and later on the other."""
    path = f"/products/{new_product(fleet)}"
    a, b = (f"{address}{path}" for address in fleet.addresses)
    with httpx.Client(timeout=60) as client:
        versions = [client.get(url).json()["version"] for url in (a, b)]
        press(fleet, "valkey", "kill")
        edited = client.put(a, json=DRAFT.model_dump()).raise_for_status().json()["version"]
        own, other = (client.get(url).raise_for_status().json()["version"] for url in (a, b))
        queued = client.get(f"{fleet.addresses[0]}/instance").json()["queued"]
        press(fleet, "valkey", "restart")
        wait_for(lambda: client.get(b).json()["version"] == edited)
        until_whole(fleet)

    assert versions == [edited - 1, edited - 1]
    assert own == edited
    assert other in (edited - 1, edited)
    assert queued > 0


def test_instance_dies_and_comes_back_at_its_address(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    """The other goes on; the terminal says it once; the new process finds what is still valid."""
    looks = iter([None, None])
    path = f"/products/{new_product(fleet)}"
    a, b = (f"{address}{path}" for address in fleet.addresses)
    with httpx.Client(timeout=60) as client:
        with shared(fleet.valkey.url):
            client.get(a).raise_for_status()
        press(fleet, "B", "kill")
        with pytest.raises(httpx.ConnectError):
            httpx.get(b)
        meanwhile = client.get(a)
        with pytest.raises(StopIteration):
            watch(fleet, lambda _: next(looks))
        press(fleet, "B", "restart")
        until_whole(fleet)
        first = client.get(b)

    assert capsys.readouterr().out == (
        "B does not run: it was killed here. The rest goes on. "
        "Restart it on the page, or by `part B restart`.\n"
    )
    assert is_hit(meanwhile)
    assert "detail=l2" in first.headers["cache-status"]


def test_port_that_is_taken_meanwhile_is_an_error() -> None:
    """An instance is restarted at its own address or not at all."""
    with listen(0) as taken:
        instance = Instance("A", "fastapi", 0, (), "")
        instance.close()
        instance._port = taken.getsockname()[1]
        instance.process = subprocess.Popen(["true"])
        instance.process.wait()

        with pytest.raises(RuntimeError, match="is taken by another program"):
            instance.start()


@pytest.mark.skipif(
    not (shutil.which("curl") and shutil.which("sh")), reason="no curl or no sh on the PATH"
)
def test_printed_commands_tell_the_story_and_a_signal_ends_it() -> None:
    """`make demo` without a browser; then neither an instance nor the server remains.

    How soon B finds the answer of A and sees the edit is for tests that wait for it: these commands
    follow each other as quickly as the machine lets them.
    """
    with started("demo_app.fleet", "--ports", "0,0,0") as process:
        assert process.stdout is not None
        text = ""
        while "Ctrl-C stops everything.\n" not in text:
            line = process.stdout.readline()
            assert line, text
            text += line
        commands = text[text.index("  A=") : text.index("Below each instance")]
        told = subprocess.run(["sh", "-c", commands], capture_output=True, text=True, check=False)
        process.send_signal(signal.SIGINT)
        said = process.stdout.read()
        code = process.wait(60)
    statuses = re.findall(r"(?i)^cache-status: (.*?)\r?$", told.stdout, re.MULTILINE)
    prices = [int(price) for price in re.findall(r'"price_cents": ?(\d+)', told.stdout)]
    currencies = re.findall(r'"currency": ?"(\w+)"', told.stdout)
    ports = {int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", text)}

    assert code == 0
    assert "Stopped." in said
    assert "fwd=uri-miss" in statuses[0]
    assert "fwd=method" in statuses[3]
    assert len(statuses) == len(prices) == 6
    assert prices[0] == prices[1] == prices[2] != 4200
    assert prices[3] == 4200
    assert {*prices[4:]} <= {prices[0], 4200}
    assert currencies == 2 * ["EUR", "USD", "EUR", "GBP"] + ["EUR", "USD"]
    assert "GET /products/{product_id:int}/offer" in told.stdout
    assert told.stdout.count('"why_not":"it was killed here"') == 1
    assert len(ports) == 4
    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5).close()


def test_single_instance_starts_and_answers() -> None:
    """`python -m demo_app` prints its address, serves from memory, and logs no warning."""
    with started("demo_app", "--port", "0") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        line, token = process.stdout.readline(), process.stdout.readline()
        address = re.findall(r"http://\S+", line)[0]
        answers = [ask(f"{address}/products/7") for _ in range(2)]
        process.terminate()
        warnings = process.stderr.read()

    assert warnings == ""
    assert "(fastapi, memory only)" in line
    assert re.fullmatch(rf"The cache: {address}/_cache/ with the token [\w-]{{43}}\n", token)
    assert [is_hit(answer) for answer in answers] == [False, True]
