"""Marks on endpoints: where they are found, and what contradicts."""

import functools
from collections.abc import Callable
from typing import Any

import pytest
from starlette.endpoints import HTTPEndpoint

from asgi_multitier.config.policy import Policy
from asgi_multitier.config.templates import Template
from asgi_multitier.errors import ConfigError
from asgi_multitier.routing import cached, invalidates, no_cache
from asgi_multitier.routing.annotations import Annotations, annotations_of
from asgi_multitier.strategy import CacheStrategy


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator such as applications write."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def bare(function: Callable[..., Any]) -> Callable[..., Any]:
    """One that copies no attributes but says what it wraps."""

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    wrapper.__wrapped__ = function  # type: ignore[attr-defined]
    return wrapper


async def asynchronous(request: Any) -> None:
    """An endpoint."""


def synchronous(request: Any) -> None:
    """An endpoint."""


class Callee:
    """An object that is called."""

    def __call__(self, request: Any) -> None:
        """Answer."""

    def method(self, request: Any) -> None:
        """Answer."""


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: logged(asynchronous), id="function"),
        pytest.param(lambda: functools.partial(synchronous), id="partial"),
        pytest.param(lambda: type("View", (HTTPEndpoint,), {}), id="class"),
        pytest.param(Callee, id="callable-object"),
    ],
)
def test_decorators_return_the_endpoint_itself(make: Callable[[], Any]) -> None:
    """Marking changes nothing but an attribute."""
    endpoint = make()

    assert endpoint is cached(60)(endpoint)
    assert endpoint is invalidates(tags="a")(endpoint)
    assert policy_of(endpoint).lifetime == 60.0
    assert annotations_of(endpoint).invalidations is not None


def policy_of(endpoint: object, method: str = "GET") -> Policy:
    policy = annotations_of(endpoint, method).policy
    assert policy is not None
    return policy


def test_marks_are_found_through_wrappers_and_partials() -> None:
    """Whatever stands around the marked function, its marks are found."""

    @cached(60)
    def endpoint(request: Any) -> None: ...

    for outer in (
        logged(endpoint),
        bare(endpoint),
        functools.partial(endpoint, 1),
        functools.partial(functools.partial(bare(endpoint)), 1),
    ):
        assert policy_of(outer).lifetime == 60.0


def test_bound_method_is_marked_by_its_function() -> None:
    """A method takes no attribute, its function does."""
    callee = Callee()

    class Own(Callee):
        @no_cache
        def __call__(self, request: Any) -> None: ...

        def method(self, request: Any) -> None: ...

    own = Own()
    cached(60)(own.method)

    assert policy_of(own.method).lifetime == 60.0
    assert annotations_of(own).never
    assert annotations_of(callee) == annotations_of(callee.method) == Annotations()


def test_a_class_is_marked_as_a_whole_and_by_method() -> None:
    """What a method says counts before what its class says; HEAD is answered by `get`."""

    @cached(60)
    class View(HTTPEndpoint):
        async def get(self, request: Any) -> None: ...

        @no_cache
        async def post(self, request: Any) -> None: ...

    class Partly(HTTPEndpoint):
        @cached(5)
        async def get(self, request: Any) -> None: ...

        @invalidates(tags="a")
        async def put(self, request: Any) -> None: ...

    assert policy_of(View).lifetime == 60.0
    assert annotations_of(View, "POST") == Annotations(never=True)
    assert policy_of(Partly, "HEAD").lifetime == 5.0
    assert annotations_of(Partly, "PUT").policy is None
    assert annotations_of(Partly, "PUT").invalidations is not None
    assert annotations_of(Partly, "DELETE") == Annotations()


def test_a_subclass_inherits_marks_and_may_replace_them() -> None:
    """A class's own mark does not contradict its parent's."""

    @cached(60)
    class View(HTTPEndpoint):
        pass

    class Same(View):
        pass

    @cached(5)
    class Other(View):
        pass

    assert tuple(policy_of(view).lifetime for view in (View, Same, Other)) == (60.0, 60.0, 5.0)


def test_no_cache_works_with_and_without_parentheses() -> None:
    """Both forms mark."""

    @no_cache
    def one() -> None: ...

    @no_cache()
    def two() -> None: ...

    assert annotations_of(one).never
    assert annotations_of(two).never


def test_several_invalidates_add_up() -> None:
    """Each names more."""

    @invalidates(tags="a", routes=synchronous)
    @invalidates(tags=["b"], paths="/x", patterns=["/y*"], routes=["r"])
    def endpoint() -> None: ...

    named = annotations_of(endpoint).invalidations

    assert named is not None
    assert (Template("b"), Template("a")) == named.tags
    assert ("r", synchronous) == named.routes


def test_cached_takes_every_form_of_strategy() -> None:
    """A strategy, seconds, a policy, or nothing for the default."""
    forms: list[Any] = [CacheStrategy.LONG_TERM, 7, Policy.from_origin()]
    found = [policy_of(cached(form)(lambda: None)).lifetime for form in forms]

    assert found == [10800.0, 7.0, None]
    assert policy_of(cached()(lambda: None)).lifetime == 300.0


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        pytest.param(lambda f: cached(60)(cached(5)(f)), ["cached already"], id="twice"),
        pytest.param(lambda f: cached(60)(no_cache(f)), ["contradict"], id="never-and-cached"),
        pytest.param(lambda f: no_cache(cached(60)(f)), ["contradict"], id="cached-and-never"),
        pytest.param(
            lambda f: cached(60)(logged(cached(60)(f))), ["cached already"], id="twice-wrapped"
        ),
        pytest.param(lambda f: cached(f), ["with parentheses"], id="no-parentheses"),
        pytest.param(lambda f: cached(60, tag="a")(f), ["did you mean tags"], id="unknown"),
        pytest.param(lambda f: cached(None)(f), ["strategy=None"], id="no-lifetime"),
        pytest.param(lambda f: cached(60, jitter=2)(f), ["jitter=2"], id="value"),
        pytest.param(lambda f: invalidates()(f), ["names nothing"], id="nothing-named"),
        pytest.param(lambda f: invalidates(tags="{")(f), ["tags='{'"], id="template"),
        pytest.param(lambda f: invalidates(routes=[7])(f), ["routes=7"], id="route"),
        pytest.param(lambda f: invalidates(routes="")(f), ["routes=''"], id="empty-route"),
        pytest.param(
            lambda f: cached(Policy.from_origin(methods=["GET", "POST"]))(invalidates(tags="a")(f)),
            ["without POST"],
            id="cached-post-invalidates",
        ),
        pytest.param(
            lambda f: cached(60, methods=["GET", "POST"])(f),
            ["methods=['GET', 'POST']", "expected GET and HEAD where a lifetime is given"],
            id="post-with-a-lifetime",
        ),
    ],
)
def test_contradictions_fail_at_decoration_and_name_the_endpoint(
    mark: Callable[[Any], Any], words: list[str]
) -> None:
    """The message names the decorator, the endpoint, and what is expected."""

    def product() -> None: ...

    with pytest.raises(ConfigError, match="product") as caught:
        mark(product)

    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    "target",
    [
        pytest.param(staticmethod(synchronous), id="staticmethod"),
        pytest.param("text", id="text"),
        pytest.param(len, id="builtin"),
    ],
)
def test_what_cannot_be_marked_is_refused(target: Any) -> None:
    """Nothing is dropped silently."""
    with pytest.raises(ConfigError, match="@no_cache on"):
        no_cache()(target)


def test_endless_wrapping_ends() -> None:
    """A wrapper that names itself is looked at a bounded number of times."""

    def endpoint() -> None: ...

    endpoint.__wrapped__ = endpoint  # type: ignore[attr-defined]

    assert annotations_of(endpoint) == Annotations()


@pytest.mark.parametrize(
    ("options", "option"),
    [
        pytest.param({"paths": "products"}, "paths", id="path-without-slash"),
        pytest.param({"paths": "/products?page=1"}, "paths", id="path-with-query"),
        pytest.param({"paths": "http://shop.test/products"}, "paths", id="url"),
        pytest.param({"patterns": "/a*b*c*d*e*f*g*h*i*"}, "patterns", id="nine-stars"),
        pytest.param({"patterns": "/" + "a" * 256}, "patterns", id="long-pattern"),
        pytest.param({"routes": 5}, "routes", id="routes"),
    ],
)
def test_what_can_never_match_is_refused_at_decoration(
    options: dict[str, Any], option: str
) -> None:
    """The error names the option and the endpoint, before any request."""

    def endpoint() -> None: ...

    with pytest.raises(ConfigError, match=f"endpoint.*{option}"):
        invalidates(**options)(endpoint)
