"""What is particular to Django: URL configurations, languages, classes of views, patterns."""

import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from asgi_multitier import CacheMiddleware, ConfigError, Policy, Rule, cached
from asgi_multitier.routing import RouteTable
from asgi_multitier.routing.frameworks.django_patterns import part_of

from .random_routes import configured, rooted
from .support import logging_as_before, memory, served

__all__ = ["logging_as_before"]

pytest.importorskip("django")


@pytest.fixture(autouse=True)
def settings() -> Iterator[Any]:
    """Django's settings, as they were afterwards."""
    configured()
    from django.conf import settings

    before = settings.MIDDLEWARE, settings.USE_I18N
    yield settings
    settings.MIDDLEWARE, settings.USE_I18N = before


def app(*patterns: Any) -> Any:
    """An application with these patterns."""
    from django.core.handlers.asgi import ASGIHandler

    return rooted(patterns, ASGIHandler)


def view(name: str) -> Any:
    """A view that answers its name."""
    from django.http import HttpRequest, HttpResponse

    async def view(request: HttpRequest, **_: Any) -> HttpResponse:
        return HttpResponse(name)

    return view


async def test_a_middleware_that_changes_the_url_configuration(settings: Any) -> None:
    """Another view runs than the root configuration says: nothing of it is stored."""
    from django.urls import path

    other = type("Other", (), {"urlpatterns": (path("a", view("other")),)})

    def switching(get_response: Any) -> Any:
        async def middleware(request: Any) -> Any:
            request.urlconf = other
            return await get_response(request)

        return middleware

    from django.utils.decorators import async_only_middleware

    module = ModuleType("switching")
    module.switching = async_only_middleware(switching)  # type: ignore[attr-defined]
    sys.modules["switching"] = module
    settings.MIDDLEWARE = ["switching.switching"]
    made = app(path("a", cached(60)(view("a"))))
    async with served(CacheMiddleware(made, manager := memory())) as client:
        replies = [await client.get("/a") for _ in range(2)]
        assert manager.stats().failures["route-mismatch"] > 0
    del sys.modules["switching"]

    assert [(reply.hit, reply.body) for reply in replies] == [(False, b"other")] * 2


def test_patterns_of_a_language_have_rules_alone(settings: Any) -> None:
    """And so has what stands behind them: one of them might take it."""
    from django.conf.urls.i18n import i18n_patterns
    from django.urls import include, path
    from django.utils.translation import gettext_lazy

    settings.USE_I18N = True
    made = app(
        path("before", cached(60)(view("before"))),
        path("in/", include([path(gettext_lazy("translated"), cached(60)(view("translated")))])),
        *i18n_patterns(path("shop", cached(60)(view("shop")))),
        path("after", cached(60)(view("after"))),
    )
    table = RouteTable(made, default=Policy(5))
    found = {
        path: table.resolve("GET", path).reason
        for path in ("/before", "/in/translated", "/en-us/shop", "/after")
    }

    assert found == {
        "/before": "annotation",
        "/in/translated": "default",
        "/en-us/shop": "default",
        "/after": "default",
    }
    assert [leaf.path for leaf in table.tree.leaves()] == ["/before", "/after"]


def test_a_view_that_requires_a_user_is_refused() -> None:
    """A hit would not ask who it is."""
    from django.contrib.auth.decorators import (
        login_required,
        permission_required,
        user_passes_test,
    )
    from django.urls import path
    from django.views import View

    class AccessMixin:
        """As the base of Django's own, which wants its models."""

    class Mine(AccessMixin, View):
        @cached(60)
        def get(self, request: Any) -> Any: ...

    for refused in (
        Mine.as_view(),
        login_required(cached(60)(view("a"))),
        cached(60)(login_required(view("a"))),
        permission_required("shop.see")(cached(60)(view("a"))),
        user_passes_test(lambda user: user.is_active)(cached(60)(view("a"))),
    ):
        with pytest.raises(ConfigError, match="a hit runs no authentication"):
            RouteTable(app(path("a", refused))).check()


def required(*names: str, also: tuple[str, ...] = ()) -> Any:
    """A class of views of which these functions require a user."""
    from django.contrib.auth.decorators import login_required, permission_required
    from django.utils.decorators import method_decorator
    from django.views import View

    class Views(View):
        @cached(60)
        async def get(self, request: Any, **_: Any) -> Any: ...
        async def put(self, request: Any, **_: Any) -> Any: ...

    for name in also:
        setattr(Views, name, Views.get)
    for name in names:
        Views = method_decorator(login_required, name=name)(Views)
        Views = method_decorator(permission_required("shop.see"), name=name)(Views)
    return Views


@pytest.mark.parametrize("name", ["get", "dispatch"])
def test_a_method_that_requires_a_user_is_refused(name: str) -> None:
    """By `method_decorator`; by a rule it is refused as well, and the default leaves it out."""
    from django.urls import path

    made = app(path("a/<int:id>", required(name).as_view()))
    rules = [Rule("/a/*", 60, override=True)]

    with pytest.raises(ConfigError, match="a hit runs no authentication"):
        RouteTable(made).check()
    with pytest.raises(ConfigError, match="and a hit runs no authentication"):
        RouteTable(made, rules=rules).check()
    for method in ("GET", "HEAD"):
        assert RouteTable(made, default=Policy(60)).resolve(method, "/a/1").reason == "security"


def test_a_class_whose_dispatch_is_its_own_and_requires_a_user_is_refused() -> None:
    """Which methods it takes is not known; so any of its functions may run."""
    from django.urls import path

    class Own(required("put")):  # type: ignore[misc]
        def dispatch(self, *args: Any, **kwargs: Any) -> Any: ...

    with pytest.raises(ConfigError, match="a hit runs no authentication"):
        RouteTable(app(path("a", Own.as_view()))).check()


def test_a_method_beside_one_that_requires_a_user_is_cached() -> None:
    """Who may change something says nothing of who may read it."""
    from django.urls import path

    made = app(path("a/<int:id>", required("put").as_view(), name="a"))
    table = RouteTable(made)
    table.check()
    found = {method: table.resolve(method, "/a/1") for method in ("GET", "HEAD", "PUT", "POST")}

    assert found["GET"].reason == found["HEAD"].reason == "annotation"
    assert {one.route for name, one in found.items() if name != "POST"} == {"/a/{id}"}
    assert {len(leaf.needs) for leaf in table.tree.leaves()} == {0, 1}
    assert len({str(each) for each in table.selectors_of("a", {"id": 1})}) == 1


def test_a_head_of_its_own_counts_for_itself() -> None:
    """Django asks `head` and not `get`, where there is one."""
    from django.urls import path

    table = RouteTable(app(path("a", required("get", also=("head",)).as_view())))
    needs = {method: leaf.needs for leaf in table.tree.leaves() for method in leaf.methods or ()}

    assert (bool(needs["GET"]), bool(needs["HEAD"])) == (True, False)


@pytest.mark.parametrize("derived", [False, True])
def test_behind_a_middleware_that_requires_a_user_all_is_refused(
    settings: Any, derived: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Except views that say that they need none, as `login_not_required` says it."""
    from django.contrib.auth.decorators import login_not_required
    from django.urls import path
    from django.utils.deprecation import MiddlewareMixin

    class LoginRequiredMiddleware(MiddlewareMixin):  # type: ignore[misc]
        """As Django's own, which wants its models."""

        def process_view(self, *_: Any) -> None: ...

    class Mine(LoginRequiredMiddleware):
        pass

    module: Any = ModuleType("requiring")
    module.Requiring = Mine if derived else LoginRequiredMiddleware
    monkeypatch.setitem(sys.modules, "requiring", module)
    settings.MIDDLEWARE = ["requiring.Requiring"]
    made = app(
        path("a", cached(60)(view("a"))),
        path("b", login_not_required(cached(60)(view("b")))),
    )

    with pytest.raises(ConfigError, match=r"route .*/a .*a hit runs no authentication"):
        RouteTable(made).check()
    table = RouteTable(made)
    reasons = [table.resolve("GET", path).reason for path in ("/a", "/b")]
    assert reasons == ["security", "annotation"]


REAL = """
import django
from django.conf import settings
from django.http import HttpResponse
from django.urls import path

settings.configure(
    SECRET_KEY="x",
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ],
)
django.setup()

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.mixins import PermissionRequiredMixin
from django.core.asgi import get_asgi_application
from django.utils.decorators import method_decorator
from django.views import View

from asgi_multitier import Policy
from asgi_multitier.routing import RouteTable

class Free(View):
    def get(self, request): ...

class Permitted(PermissionRequiredMixin, Free):
    permission_required = "auth.see"

views = [
    Free.as_view(),
    login_not_required(Free.as_view()),
    method_decorator(login_not_required, name="dispatch")(type("Open", (Free,), {})).as_view(),
    login_not_required(Permitted.as_view()),
]
settings.ROOT_URLCONF = tuple(path(str(number), view) for number, view in enumerate(views))
table = RouteTable(get_asgi_application(), default=Policy(60))
print(*(table.resolve("GET", f"/{number}").reason for number in range(4)))
"""


def test_the_middleware_and_the_mixins_of_django_itself() -> None:
    """They want Django's models, which only a process of its own can set up."""
    command = [sys.executable, "-c", REAL]
    run = subprocess.run(command, check=True, capture_output=True, text=True)

    assert run.stdout.split() == ["security", "default", "default", "security"]


def test_the_methods_of_a_class_of_views() -> None:
    """A class with a `dispatch` of its own may take any."""
    from django.urls import path
    from django.views import View

    class Usual(View):
        def get(self, request: Any) -> Any: ...
        def put(self, request: Any) -> Any: ...

    class Own(Usual):
        def dispatch(self, *args: Any) -> Any: ...

    made = app(path("a", Usual.as_view()), path("b", Own.as_view()), path("c", view("c")))
    leaves = list(RouteTable(made).tree.leaves())

    assert leaves[0].methods == {"GET", "HEAD", "PUT", "OPTIONS"}
    assert [leaf.methods for leaf in leaves[1:]] == [None, None]


async def test_the_mark_of_dispatch_holds_for_the_class() -> None:
    """As Django's documentation decorates a class as a whole."""
    from django.http import HttpResponse
    from django.urls import path
    from django.utils.decorators import method_decorator
    from django.views import View

    @method_decorator(cached(60), name="dispatch")
    class Whole(View):
        async def get(self, request: Any) -> HttpResponse:
            return HttpResponse("whole")

    made = app(path("a", Whole.as_view()))
    async with served(CacheMiddleware(made, memory())) as client:
        assert [(await client.get("/a")).hit for _ in range(2)] == [False, True]


def test_one_list_of_patterns_at_two_places() -> None:
    """Each place is a route, with its own parameters and names."""
    from django.urls import include, path

    inner = [path("<int:id>", cached(60, tags=["t:{id}"])(view("x")), name="x")]
    made = app(
        path("a/", include((inner, "shop"), namespace="one")),
        path("<slug:where>/", include((inner, "shop"), namespace="two")),
    )
    table = RouteTable(made)
    found = [table.resolve("GET", path) for path in ("/a/1", "/b/007")]

    assert [one.route for one in found] == ["/a/{id}", "/{where}/{id}"]
    assert [dict(one.texts) for one in found] == [{"id": "1"}, {"where": "b", "id": "7"}]
    assert [leaf.name for leaf in table.tree.leaves()] == ["one:x", "two:x"]


def test_parameters_that_are_given_in_the_pattern_are_left_out() -> None:
    """They are the same for each request, and need no text."""
    from django.urls import path

    table = RouteTable(app(path("a/<int:id>", cached(60)(view("x")), {"more": object()})))

    assert table.resolve("GET", "/a/1").texts == {"id": "1"}


@pytest.mark.parametrize(
    ("regex", "template", "params"),
    [
        (r"^a/(?P<y>[0-9]{4})/$", "a/{y:path}/", ("y",)),
        (r"^a\.b-c$", "a.b-c", ()),
        (r"^a", "a{_3:path}", ("_3",)),
        (r"a$", "{_3:path}", ("_3",)),
        (r"^a|b$", "{_3:path}", ("_3",)),
        (r"^ab?$", "a{_3:path}", ("_3",)),
        (r"^a/(\d+)$", "a/{_3:path}", ("_3",)),
        (r"^(?P<y>a(b))$", "{_3:path}", ("_3",)),
        (r"^(?P<y>a)?$", "{_3:path}", ("_3",)),
        (r"^x\dz$", "x{_3:path}", ("_3",)),
    ],
)
def test_a_regular_expression_as_a_template(
    regex: str, template: str, params: tuple[str, ...]
) -> None:
    """It never takes less: what is not understood is a place for anything."""
    from django.urls import re_path

    part = part_of(re_path(regex, view("x")).pattern, last=True, number=3)

    assert (part.text, part.params) == (template, params)


def test_a_pattern_that_is_included_needs_no_end() -> None:
    """More follows; and braces in a route are no place."""
    from django.urls import path, re_path

    included = re_path("^a/", view("x")).pattern
    braces = path("a{b}/<int:id>", view("x")).pattern

    assert part_of(included, last=False, number=3).text == "a/"
    assert part_of(braces, last=True, number=3) == ("{_3:path}", ("id", "_3"))


def test_settings_without_urls_are_said() -> None:
    """Where the root configuration cannot be read, rules hold, and the start says so."""
    from django.conf import settings
    from django.core.handlers.asgi import ASGIHandler
    from django.urls import clear_url_caches

    settings.ROOT_URLCONF = "no.such.module"
    clear_url_caches()
    table = RouteTable(ASGIHandler(), default=Policy(5))

    assert table.resolve("GET", "/a").reason == "default"
    assert table.unreadable == "ASGIHandler"
