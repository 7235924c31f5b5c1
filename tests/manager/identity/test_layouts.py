"""Applications in the layouts that most projects have: no two of them meet by accident."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

pytestmark = pytest.mark.no_cover  # what it tests runs in other processes

PLAIN = "from fastapi import FastAPI\napp = FastAPI()\n"
TITLED = "from fastapi import FastAPI\napp = FastAPI(title={!r})\n"
STARLETTE = "from starlette.applications import Starlette\napp = Starlette()\n"
FACTORY = (
    "from fastapi import FastAPI\ndef home(): ...\n"
    "def app():\n    made = FastAPI()\n    made.get('/')(home)\n    return made\n"
)
WRAPPED = (  # neither the framework nor the server tells one of these from another
    "import falcon.asgi\nfrom asgi_multitier import CacheMiddleware\n"
    "app = CacheMiddleware(falcon.asgi.App())\n"
)
ROUTED = (
    "from fastapi import FastAPI\nfrom {package}.auth.router import login\n"
    "app = FastAPI()\napp.get('/login')(login)\n"
)

TELEMETRY = {
    "telemetry/__init__.py": "",
    "telemetry/routes.py": "from fastapi import APIRouter\nrouter = APIRouter()\n"
    "@router.get('/metrics')\ndef metrics(): ...\n@router.get('/ready')\ndef ready(): ...\n",
}
"""A package of the user's own that brings endpoints to all applications."""

LENT = """
from fastapi import FastAPI
from telemetry.routes import router

def create():
    made = FastAPI()
    made.include_router(router)
    return made
"""
MADE = """
class Application:
    async def __call__(self, scope, receive, send): ...
"""

RUN = """
import importlib, inspect, json, os, sys
from asgi_multitier import CacheManager, CacheMiddleware, ConfigError
for place, target, settings, words in json.load(sys.stdin):
    os.chdir(place)
    sys.argv[1:] = words
    before = set(sys.modules)
    sys.path.insert(0, place)
    for option, variable in (("redis_url", "REDIS_URL"), ("namespace", "ASGI_MULTITIER_NAMESPACE")):
        os.environ.pop(variable, None)
        if option in settings:
            os.environ[variable] = settings[option]
    module, _, name = target.partition(":")
    app = getattr(importlib.import_module(module), name)
    app = app() if inspect.isfunction(app) else app
    whole = app if isinstance(app, CacheMiddleware) else None
    cache = CacheManager(**settings) if whole is None else whole.manager
    try:
        (whole or CacheMiddleware(app, cache))._lifespan.bind({"type": "lifespan"})
    except ConfigError as error:
        assert "namespace=" in str(error) and "ASGI_MULTITIER_NAMESPACE" in str(error)
        print("refused")
    else:
        print(cache.namespace)
    sys.path.remove(place)
    for added in set(sys.modules) - before:
        if added.partition(".")[0] in os.listdir(place) or added + ".py" in os.listdir(place):
            del sys.modules[added]
"""

GIVEN = {"redis_url": "redis://redis:6379/0"}
Layout = tuple[Path, str, dict[str, str], dict[str, str]]


GENERIC = (
    ("main:app", {"main.py": PLAIN}),
    ("app:app", {"app.py": PLAIN}),
    ("server:app", {"server.py": STARLETTE}),
    ("app.main:app", {"app/main.py": PLAIN}),
    ("src.main:app", {"src/main.py": PLAIN}),
    ("src.api.main:app", {"src/api/main.py": PLAIN}),
    ("backend.app.main:app", {"backend/app/main.py": PLAIN}),
    ("project.asgi:app", {"project/asgi.py": PLAIN}),
    ("main:app", {"main.py": WRAPPED}),
    ("project.asgi:app", {"project/asgi.py": WRAPPED}),
    ("mysite.asgi:app", {"mysite/asgi.py": STARLETTE}),
    ("api.v1.server:app", {"api/v1/server.py": PLAIN}),
    ("service.factory:app", {"service/factory.py": FACTORY}),
    (
        "src.main:app",
        {"src/main.py": ROUTED.format(package="src"), "src/auth/router.py": "def login(): ..."},
    ),
    *(
        ("main:app", {"main.py": TITLED.format(title)})
        for title in (
            *("API", "My API", "FastAPI", "Backend", "App", "Service", "REST API v1.2.0"),
            *("Prediction Service", "ML Inference API", "Chatbot Backend", "Notification Service"),
            *("First API", "Last API"),
        )
    ),
)
"""Where an application lives that tells nothing of itself, and its files."""

GENERIC_IDS = [f"{number} {target}" for number, (target, _) in enumerate(GENERIC)]

TELLING = (
    ("main:app", {"main.py": TITLED.format("Shop")}, "Shop"),
    ("main:app", {"main.py": TITLED.format("Shop 2.3.1")}, "Shop"),
    ("app.main:app", {"app/main.py": TITLED.format("Shop")}, "Shop"),
    ("shop:app", {"shop.py": PLAIN}, "shop"),
    ("shop.main:app", {"shop/main.py": PLAIN}, "shop.main"),
    ("shop.asgi:app", {"shop/asgi.py": WRAPPED}, "shop.asgi"),
    ("shop.admin:app", {"shop/admin.py": PLAIN}, "shop.admin"),
    (
        "shop.tools:app",
        {"shop/main.py": PLAIN, "shop/tools.py": "from shop.main import app"},
        "shop.main",
    ),
    ("shop.main:billing", {"shop/main.py": PLAIN + "billing = FastAPI()"}, "shop.main.billing"),
    ("shop:internal", {"shop.py": PLAIN + "internal = FastAPI()"}, "shop.internal"),
    ("main:app", {"main.py": TITLED.format("Shop 2024-06-01")}, "Shop"),
    ("src.shop.main:app", {"src/shop/main.py": PLAIN}, "src.shop.main"),
    ("shop.factory:app", {"shop/factory.py": FACTORY, "shop/__init__.py": ""}, "shop"),
)


def named(*layouts: Layout) -> list[str]:
    """What applications are called, each imported from a directory of its own."""
    return named_by([((), layout) for layout in layouts])


def named_by(commands: Sequence[tuple[Sequence[str], Layout]]) -> list[str]:
    """What they are called where the server's command has these words."""
    for _, (place, _, files, _) in commands:
        for name, text in files.items():
            file = place / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        input=json.dumps(
            [(str(p), target, given, words) for words, (p, target, _, given) in commands]
        ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_application_that_tells_nothing_is_refused_on_a_given_server(tmp_path: Path) -> None:
    """A name that half of all projects have does not decide which applications share."""
    layouts = [
        (tmp_path / f"{number}", target, files, GIVEN)
        for number, (target, files) in enumerate(GENERIC)
    ]
    told = [
        (place, target, files, {**given, "namespace": "shop"})
        for place, target, files, given in layouts
    ]
    found = named(*layouts, *told)

    assert dict(zip(GENERIC_IDS, found, strict=False)) == dict.fromkeys(GENERIC_IDS, "refused")
    assert found[len(layouts) :] == ["shop"] * len(told)


def test_no_two_applications_of_usual_layouts_meet_on_the_default(tmp_path: Path) -> None:
    """All that share are on this machine: the directory is part of the name."""
    both = [*GENERIC, *(layout[:2] for layout in TELLING)]
    layouts: list[Layout] = [
        (tmp_path / f"{copy}" / f"{number}", target, files, {})
        for copy in range(2)
        for number, (target, files) in enumerate(both)
    ]
    names = named(*layouts)

    assert len(set(names)) == len(layouts)
    # Every worker and every start of one application has the same one.
    assert named(*layouts) == names


def test_application_with_a_name_keeps_it_wherever_it_lies(tmp_path: Path) -> None:
    """On a given server the place does not count: other machines have another one."""
    expected = [name for *_, name in TELLING]
    for copy in range(2):
        layouts = [
            (tmp_path / f"{copy}" / f"{number}", target, files, GIVEN)
            for number, (target, files, _) in enumerate(TELLING)
        ]
        assert named(*layouts) == expected


def factories(place: Path, name: str, given: dict[str, str]) -> list[Layout]:
    """Applications of one package that no variable holds."""
    ours = {f"{name}/__init__.py": "", f"{name}/factory.py": LENT, **TELEMETRY}
    made = {
        f"{name}/made.py": "from telemetry.made import Application\ndef create():\n"
        "    return Application()\n",
        **TELEMETRY,
        "telemetry/made.py": MADE,
    }
    return [
        (place / f"{name}-lent", f"{name}.factory:create", ours, given),
        (place / f"{name}-made", f"{name}.made:create", made, given),
    ]


@pytest.mark.parametrize("given", [{}, GIVEN], ids=["default", "given"])
def test_factories_are_not_named_after_a_package_that_others_have(
    tmp_path: Path, given: dict[str, str]
) -> None:
    """Not by its endpoints, nor by its class: what the server is told to serve counts."""
    layouts = [
        layout
        for number, package in enumerate(("shop", "blog"))
        for layout in factories(tmp_path / f"{number}", package, given)
    ]
    ways: list[Callable[[str], list[str]]] = [
        lambda target: [target, "--factory", "--port", "8000"],
        lambda target: ["--workers=4", "--log-level", "debug", "--port", "8001", target],
        lambda target: [
            "-b",
            "localhost:80",
            "-k",
            "asgi_multitier.testing:FakeClock",
            target + "()",
        ],
        lambda target: [f"--application={target}"],
    ]
    found = named_by([(way(layout[1]), layout) for way in ways for layout in layouts])
    names = found[:4]

    assert found == names * len(ways)
    assert len(set(names)) == 4
    assert not any("telemetry" in name for name in names)
    if given:
        assert names[0] == "shop.factory.create"


def test_factory_whose_maker_is_not_known_is_refused_on_a_given_server(tmp_path: Path) -> None:
    """Where the command does not say what is served, one package alone must be able to make it."""
    lent = factories(tmp_path, "shop", GIVEN)[0]
    two = {**lent[2], "telemetry/setup.py": "from fastapi import FastAPI", **TELEMETRY}
    two["shop/factory.py"] = "import telemetry.setup\n" + LENT

    assert named(lent, (tmp_path / "two", lent[1], two, GIVEN)) == ["shop", "refused"]


UNHELD = "def app():\n    return __import__('falcon.asgi').asgi.App()\n"
"""Neither a variable, nor of a class of the user's own, nor by a package that has the class."""


def test_one_application_on_two_ports_has_one_name(tmp_path: Path) -> None:
    """Also where nothing but the command tells it: what it serves, or its file of settings."""
    files = {"main.py": PLAIN, "unheld.py": UNHELD, "one.toml": "", "two.toml": ""}
    held, unheld = ((tmp_path, f"{name}:app", files, {}) for name in ("main", "unheld"))
    names = named_by(
        [
            (["main:app", "--port", "8000"], held),
            (["main:app", "--port", "8001"], held),
            (["--config", "one.toml", "--port", "8000"], unheld),
            (["-b", "0.0.0.0:8001", "--config=one.toml", "--workers", "2"], unheld),
            (["--config", "two.toml", "--port", "8000"], unheld),
        ]
    )

    assert names[0] == names[1]
    assert names[2] == names[3] != names[4]
