"""What is known about status codes (RFC 9110 §15)."""

UNDERSTOOD = frozenset(
    (*range(200, 206), *range(300, 304), 305, 307, 308, *range(400, 418), 421, 422, 426)
) | frozenset(range(500, 506))
"""Final codes whose caching requirements are known and met, for `must-understand` (RFC
9111 §5.2.2.3). 206 joins them where partial responses are stored; 304 is never stored itself."""

HEURISTIC = frozenset((200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501))
"""Codes whose lifetime may be guessed (RFC 9110 §15.1)."""

ANNOTATED = frozenset((200, 203, 204, 301, 308))
"""Codes to which an annotation's lifetime applies. Temporary redirects (302, 303,
307) and errors are left out: a lifetime of five minutes is not meant for them."""

NEGATIVE = frozenset((404, 410))
"""Codes to which an annotation's `negative` lifetime applies."""

ORIGIN_FAILURES = frozenset((500, 502, 503, 504))
"""Codes that count as errors for `stale-if-error` (RFC 5861 §4)."""
