"""What is particular to Django: URL configurations, languages, classes of views, patterns."""

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from asgi_multitier import CacheMiddleware, ConfigError, Policy, cached
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
    from django.contrib.auth.decorators import login_required
    from django.urls import path
    from django.views import View

    class AccessMixin:
        """As the base of Django's own, which wants its models."""

    class Mine(AccessMixin, View):
        @cached(60)
        def get(self, request: Any) -> Any: ...

    with pytest.raises(ConfigError, match="a hit runs no authentication"):
        RouteTable(app(path("a", Mine.as_view()))).check()
    decorated = login_required(cached(60)(view("a")))
    if hasattr(decorated, "login_url"):  # from Django 5.1 on
        with pytest.raises(ConfigError, match="a hit runs no authentication"):
            RouteTable(app(path("a", decorated))).check()


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
