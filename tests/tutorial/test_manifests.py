"""The files for containers and Kubernetes name what exists, and their figures fit together."""

import json
import re
import shlex
import tomllib
from typing import Any

import pytest
import yaml

from asgi_multitier import CacheConfig, CacheManager
from tests.servers import ValkeyServer
from tests.tutorial.deployed import (
    COMPOSE,
    CONTAINERS,
    DEPLOYMENT,
    KUBERNETES,
    PROXIES,
    SECRET,
    command_of,
)
from tests.tutorial.page import DOCS, blocks, files

PREFIX = "ASGI_MULTITIER_"
MANIFESTS = {one["kind"]: one for one in yaml.safe_load_all(files(KUBERNETES)["shop.yaml"])}
POD = MANIFESTS["Deployment"]["spec"]["template"]
(CONTAINER,) = POD["spec"]["containers"]
CLOSING = 7
"""Seconds that the cache closes for at most; see `coherence/test_probe_restarts.py`."""

APPLICATION = 70
"""MiB that a worker of the example takes without the cache, generously."""


def gunicorn() -> dict[str, Any]:
    """The settings of gunicorn."""
    names: dict[str, Any] = {}
    exec(files(DEPLOYMENT)["gunicorn.conf.py"], names)
    return names


def assert_configures(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> CacheConfig:
    """Assert that each variable of the package is a setting; the settings of all of them."""
    for name, value in variables.items():
        if name.startswith(PREFIX):
            assert name.removeprefix(PREFIX).lower() in CacheConfig.__dataclass_fields__, name
        monkeypatch.setenv(name, value)
    return CacheManager().config


@pytest.mark.parametrize("page", [DEPLOYMENT, CONTAINERS, KUBERNETES, PROXIES])
def test_variables_that_the_text_names_are_settings(page: str) -> None:
    """Each `ASGI_MULTITIER_...` is one of CacheConfig."""
    named = set(re.findall(rf"\b{PREFIX}(\w+)", (DOCS / page).read_text()))

    assert {name.lower() for name in named} <= set(CacheConfig.__dataclass_fields__)


def test_settings_of_compose(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache takes them; the server that they name is a service."""
    settings = COMPOSE["services"]["shop"]["environment"]
    assert re.fullmatch(r"\$\{\w+:\?.+\}", settings["ASGI_MULTITIER_SECRET"])
    config = assert_configures({**settings, "ASGI_MULTITIER_SECRET": SECRET}, monkeypatch)

    assert (config.namespace, config.l1_bytes) == ("shop", 32 * 2**20)
    assert re.fullmatch(r"redis://(\w+):6379/0", str(config.redis_url))[1] in COMPOSE["services"]


def test_options_of_valkey() -> None:
    """The server starts with them."""
    _, *words = shlex.split(COMPOSE["services"]["valkey"]["command"])
    options = {word[2:]: words[place + 1] for place, word in enumerate(words) if word[:2] == "--"}

    with ValkeyServer(**options) as server:
        assert server.command("CONFIG", "GET", "maxmemory") == [
            b"maxmemory",
            str(256 * 2**20).encode(),
        ]


def test_image() -> None:
    """It copies files that the pages have, installs what exists, and starts what is tested."""
    image = files(CONTAINERS)["Dockerfile"]
    required = files(CONTAINERS)["requirements.txt"].splitlines()[1:]
    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text())
    copied = {
        name
        for line in re.findall(r"^COPY (.+) \S+$", image, re.MULTILINE)
        for name in line.split()
    }
    (started,) = re.findall(r"^CMD (.+)$", image, re.MULTILINE)
    extras = set(required[0].removeprefix("asgi-multitier[").removesuffix("]").split(","))

    assert set(copied) <= {*files(CONTAINERS), *files(DEPLOYMENT)}
    assert json.loads(started) == command_of(DEPLOYMENT, "gunicorn")
    assert extras <= set(project["project"]["optional-dependencies"])
    assert {"gunicorn", "uvicorn-worker"} == set(required[1:])


def test_mounted_files_are_those_of_the_pages() -> None:
    """The proxy's file is that of the page on proxies, and the database is made by a command."""
    made = "".join(one.text for one in blocks(CONTAINERS) if one.language == "sh")
    mounts = [one["volumes"] for one in COMPOSE["services"].values() if "volumes" in one]
    names = {mount.split(":")[0].removeprefix("./") for mounted in mounts for mount in mounted}

    assert names == {"prices.json", "nginx.conf"}
    assert "> prices.json" in made
    assert "server shop:8000;" in files(PROXIES)["nginx.conf"]


def test_settings_of_the_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache takes them; what comes from the Secret is in it, and long enough."""
    secret = MANIFESTS["Secret"]
    variables = {}
    for one in CONTAINER["env"]:
        if (source := one.get("valueFrom")) is not None:
            assert source["secretKeyRef"]["name"] == secret["metadata"]["name"]
            variables[one["name"]] = secret["stringData"][source["secretKeyRef"]["key"]]
        else:
            variables[one["name"]] = one["value"]
    config = assert_configures(variables, monkeypatch)

    assert config.namespace == "shop-production"
    assert str(config.redis_url).startswith("rediss://")
    assert {"REDIS_URL", "ASGI_MULTITIER_SECRET"} <= set(variables)


def test_labels_and_ports_of_the_pod_agree() -> None:
    """The Deployment and the Service select the pod, and probes ask a port that it has."""
    labels = POD["metadata"]["labels"]
    ports = {port["name"]: port["containerPort"] for port in CONTAINER["ports"]}
    probes = [CONTAINER[name]["httpGet"] for name in CONTAINER if name.endswith("Probe")]

    assert MANIFESTS["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert MANIFESTS["Service"]["spec"]["selector"] == labels
    assert {port["targetPort"] for port in MANIFESTS["Service"]["spec"]["ports"]} <= set(ports)
    assert gunicorn()["bind"].endswith(f":{ports['http']}")
    assert len(probes) == 3
    for probe in probes:
        assert probe["port"] in ports
        assert f'@app.get("{probe["path"]}")' in files(DEPLOYMENT)["shop.py"]


def test_liveness_asks_nothing_of_the_cache() -> None:
    """A pod is not restarted because of Redis: the function only answers."""
    path = CONTAINER["livenessProbe"]["httpGet"]["path"]
    text = files(DEPLOYMENT)["shop.py"].split(f'@app.get("{path}")')[1].split("@app")[0]

    assert "cache" not in text


def test_pod_has_the_time_to_close() -> None:
    """Waiting, requests under way and the close of the cache take less than the grace period."""
    command = CONTAINER["lifecycle"]["preStop"]["exec"]["command"]
    taken = int(command[1]) + gunicorn()["graceful_timeout"] + CLOSING
    grace = POD["spec"]["terminationGracePeriodSeconds"]

    assert command[0] == "sleep"
    assert taken < grace
    assert f"{command[1]} + 20 + {CLOSING} is less than {grace}" in (DOCS / KUBERNETES).read_text()
    assert int(COMPOSE["services"]["shop"]["stop_grace_period"].removesuffix("s")) > 20 + CLOSING


def test_pod_has_the_memory_for_its_workers() -> None:
    """The parent and each worker with one and a half times its memory tier fit into the limit."""
    (tier,) = [int(one["value"]) for one in CONTAINER["env"] if one["name"].endswith("L1_BYTES")]
    workers = gunicorn()["workers"]
    needed = workers * (APPLICATION + 1.5 * tier / 2**20) + APPLICATION / 2

    assert needed < int(CONTAINER["resources"]["limits"]["memory"].removesuffix("Mi"))
    assert f"{workers} x ({APPLICATION} + 96) MiB" in (DOCS / KUBERNETES).read_text()


def test_pod_can_write_where_workers_meet() -> None:
    """The rest of its file system cannot be written."""
    assert CONTAINER["securityContext"]["readOnlyRootFilesystem"] is True
    assert {"name": "tmp", "mountPath": "/tmp"} in CONTAINER["volumeMounts"]
    assert {"name": "tmp", "emptyDir": {}} in POD["spec"]["volumes"]
