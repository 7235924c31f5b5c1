"""What a rule says about storing and reuse, as plain values: all that `policy` knows of it."""

import msgspec


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """The terms on which a response may be stored and used again.

    With a `lifetime` the annotation decides how long a response is kept here; without one the
    response's own header fields do (RFC 9111). What forbids storing holds in both cases.

    Attributes:
        lifetime: Seconds that a success is fresh, or None: the response decides.
        negative: Seconds that a 404 or 410 is fresh under an annotation; None stores neither unless
            the response itself says so.
        authorized: A response to a request with `Authorization` is stored although it does not say
            that it may be (RFC 9111 §3.5): the user is in the key.
        strip: Lower-case names of response fields that are not stored.
        keep: Lower-case names of response fields that look as if they were for one client, and are
            not.
        set_cookie: Store responses with `Set-Cookie`, and give their cookies to all clients.
        heuristics: Guess a lifetime from `Last-Modified` (RFC 9111 §4.2.2).
        partial: Store 206 responses.
        post: Let the response to a POST be reused for GET (RFC 9110 §9.3.3).
        body: Store responses to POST and QUERY, for requests with the same content.
        honor_request_directives: Let clients control the cache by `Cache-Control` (RFC 9111
            §5.2.1).
        stale_on_error: Seconds after its freshness in which a response may replace that of a
            failing origin although it does not say so itself; True is `ON_ERROR` seconds, False
            none.
        client_cache: Seconds for which clients of an annotated route may reuse a response; None
            tells them to validate each time.
        selecting: Request fields that choose the response besides its URL, for `Vary`.
        partitioned: What chooses it identifies the user (a credential, cookies, a tenant): caches
            downstream are told that the response is `private`.
        stale_while_revalidate: An annotation's window, in seconds (RFC 5861 §3).
        stale_if_error: An annotation's window, in seconds (RFC 5861 §4).
        targeted: Lower-case names of the targeted fields obeyed (RFC 9213); the first valid one
            counts.
        codings: Content codings that representations may be made in, in the order of preference.
        encode_from: Bytes of the smallest content of which one is made.
        max_entry: Bytes of the largest body stored.
        header_limit: Bytes of the largest header block stored.
    """

    lifetime: float | None = None
    negative: float | None = None
    authorized: bool = False
    strip: tuple[bytes, ...] = ()
    keep: tuple[bytes, ...] = ()
    set_cookie: bool = False
    heuristics: bool = False
    partial: bool = False
    post: bool = False
    body: bool = False
    honor_request_directives: bool = False
    stale_on_error: float | bool = False
    client_cache: float | None = None
    selecting: tuple[bytes, ...] = ()
    partitioned: bool = False
    stale_while_revalidate: float | None = None
    stale_if_error: float | None = None
    targeted: tuple[bytes, ...] = (b"cdn-cache-control",)
    codings: tuple[bytes, ...] = ()
    encode_from: int = 1024
    max_entry: int = 1024 * 1024
    header_limit: int = 16 * 1024

    @property
    def annotated(self) -> bool:
        """Whether the annotation, and not the response, decides the lifetime."""
        return self.lifetime is not None
