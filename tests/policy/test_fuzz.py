"""Every parser on arbitrary bytes: no exception, the careful reading, time in proportion to length.

Time is not measured by a clock. Python's share is counted in opcodes; what runs inside `re`, where
only a quadratic pattern could hurt, is given inputs that such a pattern would not finish.
"""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from asgi_multitier._types import Headers
from asgi_multitier.entry import StoredResponse
from asgi_multitier.policy import cache_control, dates, freshness, invalidation, ranges, validation
from asgi_multitier.policy import headers as fields
from asgi_multitier.policy.storing import Store
from asgi_multitier.policy.terms import Terms
from asgi_multitier.policy.vary import secondary_key, selecting_fields
from tests.policy.support import NOW, judged

TOKENS = st.sampled_from(
    [
        *(b"max-age", b"s-maxage", b"no-store", b"no-cache", b"private", b"public", b"immutable"),
        *(b"must-revalidate", b"must-understand", b"stale-if-error", b"min-fresh", b"max-stale"),
        *(b"=", b",", b" ", b"\t", b'"', b"\\", b";", b"*", b"W/", b"(", b")", b":", b"?1", b"-"),
        *(b"0", b"1", b"3600", b"9" * 30, b"a", b"q=0.5", b"bytes", b"gzip", b"\x00", b"\xff"),
        *(b"Thu, 18 Aug 2050 02:01:18 GMT", b"http://", b"//", b"..", b"[", b"#", b"%2f", b"@"),
    ]
)
VALUES = st.one_of(st.binary(max_size=60), st.lists(TOKENS, max_size=14).map(b"".join))
LINES = st.lists(VALUES, max_size=4)


fuzzed = settings(
    derandomize=True, deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow]
)
"""The same examples on every run, and no clock that judges them."""


def block(name: bytes, values: list[bytes]) -> Headers:
    """Field lines of one name."""
    return tuple((name, value) for value in values)


@fuzzed
@given(VALUES)
def test_split_loses_and_invents_nothing(value):
    """What it returns are pieces of the value, in order, without outer white space."""
    sound, doubtful = fields.split(value)
    at = 0
    for member in sound + doubtful:
        assert member
        assert member == member.strip(b" \t")
        at = value.index(member, at) + len(member)


@fuzzed
@given(LINES)
def test_cache_control_never_raises_and_stays_in_range(values):
    """Whatever the lines hold."""
    directives = cache_control.parse(values)

    for seconds in (directives.max_age, directives.s_maxage, directives.stale_if_error):
        assert seconds is None or 0 <= seconds <= cache_control.MAX_DELTA
    cache_control.of_request(block(b"pragma", values))
    cache_control.of_request(block(b"cache-control", values))


@fuzzed
@given(LINES, st.sampled_from([b"no-store", b"private", b"no-cache", b"must-revalidate"]))
@example([b'a="'], b"no-store")
@example([b'a="\\'], b"no-store")
def test_junk_beside_a_prohibition_does_not_hide_it(values, directive):
    """A prohibition on a line of its own counts, though quotes before it were never closed."""
    directives = cache_control.parse([*values, directive])
    attribute = directive.decode().replace("-", "_")

    assert getattr(directives, attribute)


@fuzzed
@given(LINES)
def test_junk_around_a_lifetime_never_lengthens_it(values):
    """With a malformed lifetime anywhere, the response is stale on arrival."""
    directives = cache_control.parse([b"max-age=x", *values])

    assert directives.max_age == 0


@fuzzed
@given(LINES)
def test_targeted_fields_never_raise(values):
    """A Dictionary or nothing."""
    directives = cache_control.parse_targeted(values)

    if directives is not None and directives.max_age is not None:
        assert 0 <= directives.max_age <= cache_control.MAX_DELTA


@fuzzed
@given(VALUES)
def test_dates_never_raise(value):
    """A moment or nothing, and a moment is written and read back."""
    moment = dates.parse_http_date(value, NOW)

    if moment is not None and moment >= 0:
        assert dates.parse_http_date(dates.format_http_date(moment), NOW) == moment


@fuzzed
@given(LINES, LINES, LINES)
def test_ages_and_lifetimes_are_never_negative(ages, dates_given, expires):
    """Whatever `Age`, `Date` and `Expires` hold."""
    headers = block(b"age", ages) + block(b"date", dates_given) + block(b"expires", expires)
    lifetime = freshness.explicit_lifetime(headers, cache_control.ABSENT, targeted=False, now=NOW)

    assert freshness.initial_age(headers, now=NOW, request_time=NOW) >= 0
    assert lifetime is None or 0 <= lifetime <= cache_control.MAX_DELTA


@fuzzed
@given(LINES, LINES)
def test_vary_never_raises_and_a_star_never_matches(listed, values):
    """A key is a function of the fields; any `*` member means no key at all."""
    names = selecting_fields(block(b"vary", listed))

    if any(member == b"*" for value in listed for member in value.split(b",")):
        assert names is None
    for name in (b"foo", b"accept-encoding", b"accept-language"):
        for sort in (False, True):
            key = secondary_key((name,), block(name, values), normalise_language=sort)
            assert (key == b"-") is (not values)


@fuzzed
@given(VALUES, VALUES)
def test_keys_of_two_fields_cannot_be_confused(one, other):
    """What is moved from one field to the next changes the key."""
    names = (b"a", b"b")
    forward = secondary_key(names, ((b"a", one), (b"b", other)))
    alone = secondary_key(names, ((b"a", one + other),))

    assert forward != alone


@fuzzed
@given(LINES, VALUES)
def test_if_none_match_never_raises_and_needs_the_tag(values, etag):
    """A match means that the tag's own text stands in the list, or a star."""
    matches = validation.not_modified(
        block(b"if-none-match", values),
        StoredResponse(200, (), b"", etag or None),
        date=NOW,
        now=NOW,
    )

    if matches:
        listed = b", ".join(values).strip(b" \t")
        assert listed == b"*" or etag.removeprefix(b"W/") in listed


@fuzzed
@given(LINES, LINES)
def test_updates_never_touch_what_describes_the_bytes(stored, update):
    """`Content-Length` is the stored one whatever a 304 says."""
    merged = validation.freshen(
        block(b"content-length", stored),
        block(b"content-length", update) + block(b"cache-control", update),
        Terms(),
        received=NOW,
    )

    assert fields.values(merged, b"content-length") == stored


@fuzzed
@given(VALUES, st.one_of(st.none(), VALUES), st.integers(0, 50))
def test_a_span_lies_within_the_content(value, condition, size):
    """Whatever `Range` and `If-Range` hold."""
    span = ranges.select(b"bytes=" + value, condition, size=size, etag=b'"a"', now=NOW)

    if isinstance(span, ranges.Span):
        assert 0 <= span.first <= span.last < size


@fuzzed
@given(st.integers(0, 9), st.binary(max_size=9), st.integers(0, 9), st.binary(max_size=9))
def test_joined_parts_hold_the_bytes_of_both(first, body, other_first, other_body):
    """Every byte stands at its own place, the newer one where both have it."""

    def part(at: int, content: bytes) -> ranges.Part:
        place = b"bytes %d-%d/*" % (at, at + len(content) - 1)
        return ranges.Part(((b"content-range", place), (b"etag", b'"a"')), content)

    joined = ranges.combine(part(first, body), part(other_first, other_body))

    if joined is not None:
        expected = dict(enumerate(body, first)) | dict(enumerate(other_body, other_first))
        assert bytes(expected[at] for at in sorted(expected)) == joined.body
        assert sorted(expected) == list(range(min(expected), max(expected) + 1))


@fuzzed
@given(VALUES, VALUES)
def test_references_never_leave_the_origin(reference, host):
    """What is resolved is a path of this origin, whatever stands in Location or Host."""
    base = invalidation.Target("http", b"example.com", b"/a", b"")
    target = invalidation.resolved(reference, base)

    if target is not None:
        assert target[:2] == base[:2]
        assert target.path.startswith(b"/")
    invalidation.resolved(reference, base._replace(host=host))


@fuzzed
@given(LINES)
def test_cache_groups_never_raise(values):
    """Tags or nothing."""
    for tag in invalidation.group_tags(block(b"cache-groups", values), b"cache-groups"):
        assert tag.startswith("group:")


NAMES = st.sampled_from(
    [
        *(b"cache-control", b"cdn-cache-control", b"age", b"date", b"expires", b"etag", b"vary"),
        *(b"last-modified", b"connection", b"content-length", b"content-type", b"cache-groups"),
        *(b"set-cookie", b"x", b""),
    ]
)


@fuzzed
@given(st.lists(st.tuples(NAMES, VALUES), max_size=8))
def test_judge_never_raises_and_never_stores_what_is_forbidden(headers):
    """One table of sayings that no neighbour can overrule."""
    verdict = judged(*((n.decode(), v.decode("latin-1")) for n, v in headers))

    if isinstance(verdict, Store):
        assert verdict.age >= 0
        assert fields.invalid_reason(tuple(headers)) is None
        assert not any(name in (b"set-cookie", b"connection") for name, _ in verdict.headers)
        assert not any(name == b"vary" and value == b"*" for name, value in headers)


def opcodes(call: Callable[[], object]) -> int:
    """The Python opcodes that a call executes."""
    count = 0

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


ADVERSARIAL = [
    b",",
    b" , ",
    b'"',
    b'"\\',
    b'\\"',
    b'"\\",',
    b'"a",',
    b"a,",
    b'a="b",',
    b"=",
    b";q=0.",
    b"*,",
    b"W/",
    b"0",
    b"-",
    b"../",
    b"/.",
    b"no-cache=",
    b"\xff",
    b"a;",
    b"(",
]

PARSERS: dict[str, Callable[[bytes], object]] = {
    "split": fields.split,
    "cache-control": lambda value: cache_control.parse([value]),
    "cache-control-quoted": lambda value: cache_control.parse([b'no-cache="' + value]),
    "targeted": lambda value: cache_control.parse_targeted([value]),
    "date": lambda value: dates.parse_http_date(value, NOW),
    "age": lambda value: freshness.age_value(((b"age", value),)),
    "vary": lambda value: selecting_fields(((b"vary", value),)),
    "accept-encoding": lambda value: secondary_key(
        (b"accept-encoding",), ((b"accept-encoding", value),)
    ),
    "accept-language": lambda value: secondary_key(
        (b"accept-language",), ((b"accept-language", value),), normalise_language=True
    ),
    "if-none-match": lambda value: validation.not_modified(
        ((b"if-none-match", value),), StoredResponse(200, (), b"", b'"x"'), date=NOW, now=NOW
    ),
    "range": lambda value: ranges.select(b"bytes=" + value, value, size=10),
    "content-range": lambda value: ranges.content_range(((b"content-range", value),)),
    "location": lambda value: invalidation.resolved(
        value, invalidation.Target("http", b"h", b"/a")
    ),
    "groups": lambda value: invalidation.group_tags(((b"cache-groups", value),), b"cache-groups"),
    "connection": lambda value: fields.end_to_end(((b"connection", value),)),
}


@pytest.mark.parametrize("unit", ADVERSARIAL)
@pytest.mark.parametrize("parser", PARSERS)
def test_steps_grow_in_proportion_to_the_input(parser, unit):
    """Twice the input takes at most a little more than twice the steps."""
    parse = PARSERS[parser]
    opcodes(lambda: parse(unit * 100))  # Python 3.12 and later prepare code when it is first traced
    one, two = (opcodes(lambda n=n: parse(unit * n)) for n in (200, 400))

    assert two <= 2.2 * one + 200


@pytest.mark.parametrize("unit", ADVERSARIAL)
@pytest.mark.parametrize("parser", sorted(set(PARSERS) - {"targeted", "groups"}))
def test_a_hostile_field_of_64_kib_is_finished(parser, unit):
    """No pattern backtracks: with one that did, this would run into the time limit."""
    PARSERS[parser](unit * (65536 // len(unit)))


@pytest.mark.parametrize("position", [0, 5000, 9999])
def test_ten_thousand_tags_are_compared_in_few_steps(position):
    """`If-None-Match` of any length costs Python a bounded number of steps for each line."""
    tags = [b'"%d"' % number for number in range(10_000)]
    request = ((b"if-none-match", b", ".join(tags)),)

    def answer() -> bool:
        stored = StoredResponse(200, (), b"", tags[position])
        return validation.not_modified(request, stored, date=NOW, now=NOW)

    assert answer()
    assert opcodes(answer) < 1000
