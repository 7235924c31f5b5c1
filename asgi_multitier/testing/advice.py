"""What to do about each reason in `Cache-Status`, for failures of tests: one table."""

from ..policy.reasons import Reason

_USER = (
    "say what separates the users (vary_by=, vary= or cookies=), or public=True if the response is"
    " the same for all of them"
)

ADVICE = {
    Reason.METHOD: "only GET and HEAD are cached; ask with GET, or see body= for POST and QUERY",
    Reason.REQUEST_BODY: "a GET with a body is not cached; send none",
    Reason.REQUEST_BODY_OVERSIZED: "the body of the request is larger than max_body=",
    Reason.HOST: "send exactly one valid Host field",
    Reason.TARGET: "use a plain, shorter URL",
    Reason.NO_RULE: "no rule holds for this URL: put @cached(...) on the endpoint, or add a Rule",
    Reason.NO_CACHE_ANNOTATION: "the endpoint says @no_cache",
    Reason.AUTHORIZATION: f"the request has Authorization: {_USER}",
    Reason.CREDENTIALS: f"the request has a field that identifies its user: {_USER}",
    Reason.COOKIE: (
        "the request has a cookie: name the ones that count in cookies=, or write"
        " ignore_cookies=True if none does"
    ),
    Reason.IDENTITY: f"a layer around the cache has named a user: {_USER}",
    Reason.PARTITION: "vary_by= has returned None or has raised",
    Reason.WHEN: "when= has said no",
    Reason.SECURITY: f"the route checks who sent the request: {_USER}",
    Reason.EVENT_LOOP: (
        "the cache is in use in another event loop: use one client at a time, and asyncio"
    ),
    Reason.OFF: 'the cache is switched off: mode="on"',
    Reason.STATUS: "the status is not one that is cached; negative= is for 404 and 410",
    Reason.NO_STORE: "the response says Cache-Control: no-store",
    Reason.PRIVATE: "the response says Cache-Control: private",
    Reason.SET_COOKIE: "the response sets a cookie: set it in another route",
    Reason.PERSONAL_FIELD: "it has a field for one client: remove that, or name it in strip=",
    Reason.VARY_STAR: "the response says Vary: *",
    Reason.NO_FRESHNESS: "the response does not say how long it is fresh",
    Reason.OVERSIZED: "the body is larger than max_entry",
    Reason.INCOMPLETE: "the response did not end",
    Reason.EVENT_STREAM: "a stream of events is not cached",
    Reason.RANGE: "send no Range",
    Reason.PRECONDITION: "send no condition that only the application can check",
}


def advice(reason: str | None) -> str:
    """What to do about a reason; "" if there is nothing to say."""
    return next((text for known, text in ADVICE.items() if known == reason), "")
