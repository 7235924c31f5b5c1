"""What each reason means and what to do about it: one table, for `explain` and assertions."""

from dataclasses import dataclass

from .._about import page
from ..policy.reasons import Reason

DOCS = page("reference/cache-status.md")

_USERS = page("reference/strategies.md#requests-that-identify-a-user")
_OPTIONS = page("reference/options.md#options-of-a-route")
_SETTINGS = page("reference/options.md#settings-of-the-process")
_STORED = page("concepts/http-caching.md#what-is-stored-under-from_origin")
_USED = page("concepts/http-caching.md#how-stored-responses-are-used")
_BODIES = page("guides/bodies.md")
_GUARDED = page("guides/authentication.md")

_USER = (
    "Say what separates the users: vary_by=, vary= or cookies=; or write public=True if the"
    " response is the same for all of them"
)
_CLIENT = "This is the client's own wish; leave out honor_request_directives= to ignore it"
_NOTHING = ""


@dataclass(frozen=True, slots=True)
class Advice:
    """What to tell about a reason.

    Attributes:
        sentence: What it means, as one sentence without its full stop.
        remedy: What to do about it, likewise; "" where nothing needs to be done.
        docs: The page of the documentation, and the place in it.
    """

    sentence: str
    remedy: str
    docs: str = DOCS


ADVICE = {
    # The request: it bypasses the cache.
    Reason.METHOD: Advice(
        "The rule is not for this method, or the application answers a HEAD by itself",
        "Ask with GET; for POST and QUERY that change nothing, write methods= and body=",
        _BODIES,
    ),
    Reason.REQUEST_BODY: Advice(
        "The request has a body, or says that it has one, and the rule is not for content",
        "Send no body; or, for a POST or QUERY that changes nothing, write body=",
        _BODIES,
    ),
    Reason.REQUEST_BODY_OVERSIZED: Advice(
        "The body of the request is larger than max_body=",
        "Raise max_body=, or send less",
        page("guides/bodies.md#bounds"),
    ),
    Reason.HOST: Advice(
        "The request does not have exactly one valid Host field", "Send exactly one valid Host"
    ),
    Reason.TARGET: Advice(
        "The URL is longer than max_url=, or has characters that parsers read differently",
        "Use a plain, shorter URL, or raise max_url=",
        _SETTINGS,
    ),
    Reason.OVERRIDE: Advice(
        "A field of the request may replace its method or its URL",
        "Send the method and the URL themselves, without such a field",
    ),
    Reason.UPGRADE: Advice("The request asks for another protocol", _NOTHING),
    Reason.PRECONDITION: Advice(
        "The request has a condition that only the application can check",
        "Send If-None-Match or If-Modified-Since, or no condition",
        _USED,
    ),
    Reason.RANGE: Advice(
        "The request asks for a part of a response that is not stored lately",
        "Ask for the whole response; or write partial=True for parts under Policy.from_origin",
        _USED,
    ),
    Reason.NO_RULE: Advice(
        "No annotation, no rule and no default holds for this URL",
        "Put @cached(...) on the endpoint, or add a Rule",
        page("reference/strategies.md#rules-for-routes-without-annotations"),
    ),
    Reason.NO_CACHE_ANNOTATION: Advice(
        "The endpoint says @no_cache, or a rule takes it out",
        "Remove @no_cache, or the Rule with None, if the response may be shared",
        page("reference/strategies.md#rules-for-routes-without-annotations"),
    ),
    Reason.FIELD_NAME: Advice(
        "The name of a request field has '_', or is not allowed by HTTP, so servers may read it"
        " differently",
        "Send the field with '-'; or name it in vary= in this spelling if the response depends on"
        " it, or in harmless_headers= if it does not",
        _USERS,
    ),
    Reason.AUTHORIZATION: Advice(
        "The request has Authorization, which says who asks, and the rule does not say how users"
        " are told apart",
        _USER,
        _USERS,
    ),
    Reason.CREDENTIALS: Advice(
        "The request has a field that identifies its user, and the rule does not say how users are"
        " told apart",
        f"{_USER}; a field that identifies no user can be named in harmless_headers=",
        _USERS,
    ),
    Reason.COOKIE: Advice(
        "The request has cookies, and the rule does not say which of them count",
        "Name the ones that count in cookies=, or write ignore_cookies=True if none does",
        _USERS,
    ),
    Reason.IDENTITY: Advice(
        "A layer around the cache has identified the user, or the run has read what such a layer"
        " has set",
        _USER,
        page("concepts/personal.md#users-identified-by-other-middlewares"),
    ),
    Reason.PARTITION: Advice(
        "vary_by= has returned None or what is no partition, or has raised",
        "Let vary_by= return what separates the users; None is for requests that are not to be"
        " cached",
        _USERS,
    ),
    Reason.WHEN: Advice(
        "when= has said no, or has raised", "Let when= return True for this request", _OPTIONS
    ),
    Reason.POSITION: Advice(
        "The client has changed something that this process has not applied yet",
        _NOTHING,
        page("concepts/coherence.md#reading-your-own-writes"),
    ),
    Reason.SECURITY: Advice(
        "The route checks who sent the request, and its rule does not say how users are told apart",
        "Put @cached on the endpoint with guarded=True or guarded='shared', which runs the checks"
        " for each request, or with vary_by=, vary=, cookies= or public=True",
        _GUARDED,
    ),
    Reason.TAGS: Advice(
        "There are too many tags or one is too long, key= or a tag has several values or none, or"
        " the response does not fit tags_from=",
        "Carry at most 64 tags of at most 128 bytes, and one name in key=",
        page("reference/strategies.md#templates"),
    ),
    Reason.GUARD: Advice(
        "The dependencies or decorators of the guarded route did not let the request in, or"
        " something before its endpoint answered",
        _NOTHING,
        _GUARDED,
    ),
    Reason.EVENT_LOOP: Advice(
        "The request does not run in asyncio, or not in the event loop that the cache lives in",
        "Use the cache in one event loop at a time, on asyncio",
    ),
    Reason.OFF: Advice(
        "The cache is switched off",
        'Write mode="on"',
        page("getting-started.md#switching-off-clearing-inspecting"),
    ),
    Reason.SHADOW: Advice(
        "The cache only observes what it would do",
        'Write mode="on", and no shadow=True in the rule, once it would give no wrong answer',
        _OPTIONS,
    ),
    Reason.DISABLED: Advice(
        "The route is switched off by enabled=, or its function has raised",
        "Write enabled=True, or let its function return True",
        _OPTIONS,
    ),
    # The request's own directives.
    Reason.REQUEST_NO_STORE: Advice("The request says no-store", _CLIENT, _USED),
    Reason.REQUEST_NO_CACHE: Advice(
        "The request says no-cache, or Pragma: no-cache", _CLIENT, _USED
    ),
    Reason.REQUEST_MAX_AGE: Advice(
        "The stored response is older than the request accepts", _CLIENT, _USED
    ),
    Reason.REQUEST_MIN_FRESH: Advice(
        "The stored response is not fresh for as long as the request asks", _CLIENT, _USED
    ),
    Reason.ONLY_IF_CACHED: Advice(
        "The request accepts a stored response alone, and there is none: 504", _CLIENT, _USED
    ),
    # The response: it is not stored.
    Reason.STATUS: Advice(
        "The status of the response is not one that is stored",
        "Answer 200; negative= stores 404 and 410 as well",
        _OPTIONS,
    ),
    Reason.NOT_UNDERSTOOD: Advice(
        "The response says must-understand with a status that is not known here, or is a message"
        " that is not understood",
        _NOTHING,
        _STORED,
    ),
    Reason.NO_STORE: Advice(
        "The response says Cache-Control: no-store",
        "Remove no-store from the response if it may be stored",
        _STORED,
    ),
    Reason.PRIVATE: Advice(
        "The response says Cache-Control: private",
        "Remove private from the response if it may be shared",
        _STORED,
    ),
    Reason.NO_CACHE: Advice(
        "The response says no-cache and has no validator",
        "Send an ETag, or remove no-cache from the response",
        _STORED,
    ),
    Reason.SET_COOKIE: Advice(
        "The response sets a cookie, or the session that a layer keeps was written",
        "Set the cookie in another route",
        page("concepts/personal.md#fields-for-one-client"),
    ),
    Reason.PERSONAL_FIELD: Advice(
        "The response has a field that is for one client",
        "Remove the field; or name it in strip=, and hits do not have it",
        page("concepts/personal.md#fields-for-one-client"),
    ),
    Reason.VARY_STAR: Advice(
        "The response says Vary: *, or Vary with what is no field name",
        "Name in Vary the fields that choose the response",
        _STORED,
    ),
    Reason.VARY_NAMES: Advice(
        "The response names more than 16 fields in Vary", "Name fewer fields in Vary", _STORED
    ),
    Reason.VARIANTS: Advice(
        "The response to a POST has variants, and cannot be stored for GET", _NOTHING, _STORED
    ),
    Reason.PARTIAL: Advice(
        "The response is a part, or a stored part does not have what is asked for",
        "Ask for the whole response; or write partial=True for parts under Policy.from_origin",
        _USED,
    ),
    Reason.NO_FRESHNESS: Advice(
        "The response does not say how long it is fresh",
        "Send Cache-Control: max-age, or put @cached(...) on the endpoint",
        _STORED,
    ),
    Reason.CONTENT_LOCATION: Advice(
        "The response to a POST is not the representation of its own URL", _NOTHING, _STORED
    ),
    Reason.BAD_HEADERS: Advice(
        "The response has field names or values that HTTP does not allow",
        "Send valid fields",
        _STORED,
    ),
    Reason.HEADERS_OVERSIZED: Advice(
        "The response has too many field lines, or more bytes in them than header_block=",
        "Send fewer or shorter fields, or raise header_block=",
        _SETTINGS,
    ),
    Reason.OVERSIZED: Advice(
        "The body of the response is larger than max_entry=",
        "Raise max_entry=, or send less",
        _SETTINGS,
    ),
    Reason.INCOMPLETE: Advice("The body of the response ended early", _NOTHING, _STORED),
    Reason.EVENT_STREAM: Advice(
        "The response is a stream of events", "Put @no_cache on the endpoint", _STORED
    ),
    Reason.TRAILERS: Advice("The response has trailers", _NOTHING, _STORED),
    # The stored response.
    Reason.STALE: Advice(
        "The stored response is past its lifetime",
        "If a copy may be served while it is renewed, write stale_while_revalidate=",
        _USED,
    ),
    Reason.INVALIDATED: Advice(
        "What was stored was invalidated, or was while the application ran",
        _NOTHING,
        page("concepts/coherence.md#an-invalidation-step-by-step"),
    ),
    Reason.MISMATCH: Advice(
        "The router chose another route than predicted, because of another path or of routes that"
        " have changed",
        "Let no layer inside of the cache change the path",
        page("reference/strategies.md#paths-of-mounted-applications"),
    ),
    Reason.VALIDATED: Advice(
        "validator= has found the data unchanged: the stored response is fresh for another"
        " lifetime",
        _NOTHING,
        page("reference/strategies.md#unchanged-data"),
    ),
    # In place of the origin's.
    Reason.SOFT_TIMEOUT: Advice(
        "A stale response was served, as the application takes longer than soft_timeout=",
        _NOTHING,
        page("concepts/stale.md#the-origin-is-slow"),
    ),
    Reason.STALE_IF_ERROR: Advice(
        "A stale response was served, as the application failed",
        _NOTHING,
        page("concepts/stale.md#the-origin-fails"),
    ),
    # The cache itself.
    Reason.UNSTABLE: Advice(
        "Variants changed faster than they could be looked up, or the cache was closed meanwhile",
        _NOTHING,
    ),
    Reason.BROKEN: Advice(
        "The cache itself failed, or a callable of the rule has raised; it is logged and counted",
        "Read the log of asgi_multitier",
    ),
    Reason.OVERLOADED: Advice(
        'overload="refuse", and max_waiters= requests wait already: 503',
        'Raise max_waiters=, or write overload="wait"',
        page("concepts/coalescing.md"),
    ),
    Reason.NESTED: Advice(
        "The application requests the URL that it is answering",
        "Let the application call the function, not its own URL",
        page("concepts/coalescing.md"),
    ),
    Reason.SUPERSEDED: Advice(
        "A run that began later has stored its response already",
        _NOTHING,
        page("concepts/coalescing.md"),
    ),
}


def advice_of(reason: str | None) -> Advice | None:
    """What to tell about a reason; None if it is none of `Reason`."""
    return next((advice for known, advice in ADVICE.items() if known == reason), None)


def advice(reason: str | None) -> str:
    """What a reason means and what to do about it, in one line; "" if it is none of `Reason`."""
    found = advice_of(reason)
    if found is None:
        return ""
    return f"{found.sentence}. {found.remedy}".rstrip(". ")
