"""Why a response is not stored, why a stored one is not used, why a request bypasses the cache.

The words are API: they are the `detail` of `Cache-Status` (RFC 9211 §2.8) and the names of
counters, so each is a valid Structured Field token and none is ever renamed.
"""

from enum import StrEnum, unique


@unique
class Reason(StrEnum):
    """One named reason. The comments say which side of the exchange it is about."""

    # The request: it bypasses the cache.
    METHOD = "method"
    REQUEST_BODY = "request-body"
    REQUEST_BODY_OVERSIZED = "request-body-oversized"
    HOST = "host"
    TARGET = "target"
    OVERRIDE = "method-override"
    UPGRADE = "upgrade"
    PRECONDITION = "precondition"
    RANGE = "range"
    NO_RULE = "no-rule"
    NO_CACHE_ANNOTATION = "no-cache-annotation"
    FIELD_NAME = "field-name"
    AUTHORIZATION = "authorization"
    CREDENTIALS = "credentials"
    COOKIE = "cookie"
    IDENTITY = "identity"
    PARTITION = "partition"
    WHEN = "when"
    POSITION = "position"
    SECURITY = "security"
    TAGS = "tags"
    GUARD = "guard"
    EVENT_LOOP = "event-loop"
    OFF = "off"
    DISABLED = "disabled"
    SHADOW = "shadow"

    # The request's own directives, where a rule honours them (RFC 9111 §5.2.1).
    REQUEST_NO_STORE = "request-no-store"
    REQUEST_NO_CACHE = "request-no-cache"
    REQUEST_MAX_AGE = "request-max-age"
    REQUEST_MIN_FRESH = "request-min-fresh"
    ONLY_IF_CACHED = "only-if-cached"

    # The response: it is not stored.
    STATUS = "status"
    NOT_UNDERSTOOD = "not-understood"
    NO_STORE = "no-store"
    PRIVATE = "private"
    NO_CACHE = "no-cache"
    SET_COOKIE = "set-cookie"
    PERSONAL_FIELD = "personal-field"
    VARY_STAR = "vary-star"
    VARY_NAMES = "vary-names"
    VARIANTS = "variants"
    PARTIAL = "partial"
    NO_FRESHNESS = "no-freshness"
    CONTENT_LOCATION = "content-location"
    BAD_HEADERS = "bad-headers"
    HEADERS_OVERSIZED = "headers-oversized"
    OVERSIZED = "oversized"
    INCOMPLETE = "incomplete"
    EVENT_STREAM = "event-stream"
    TRAILERS = "trailers"

    # The stored response: it is not used, or not as it is.
    STALE = "stale"
    INVALIDATED = "invalidated"
    MISMATCH = "mismatch"

    # It lives on: the rule's validator says that nothing has changed.
    VALIDATED = "validated"

    # A stale response is served in place of the origin's.
    SOFT_TIMEOUT = "soft-timeout"
    STALE_IF_ERROR = "stale-if-error"

    # The cache itself.
    UNSTABLE = "unstable"
    BROKEN = "broken"
    OVERLOADED = "overloaded"
    NESTED = "nested"
    SUPERSEDED = "superseded"
