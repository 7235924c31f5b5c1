"""What of a request selects its stored response, besides its target: pure.

Two requests of one target for which this is equal get the same key from `request_key`, and the same
representation where the response has a `Vary`; and either both or neither are refused. So what was
found out about one of them holds for the other (RFC 9111 §4.1).
"""

from collections.abc import Callable, Iterable, Sequence

from .._types import Header
from ..policy.key import forwarded_parts, name_client
from ..policy.request import Field, FieldLines
from .kept_plan import KeptPlan
from .selected import Selecting

_COOKIE, _ORIGIN, _FORWARDED = Field.COOKIE, Field.ORIGIN, Field.FORWARDED
_CREDENTIALS = frozenset((Field.AUTHORIZATION, Field.CREDENTIALS))


def selecting(
    plan: KeptPlan,
    found: FieldLines | None,
    lines: Sequence[Header],
    partition: bytes | None,
) -> Selecting | None:
    """What of a request selects its response; None if that cannot be said by its fields alone.

    A condition or a range chooses what is sent of a response, not the response.

    Args:
        plan: The target's; it is `prompt`.
        found: What the scan found in the request's fields.
        lines: Its `choosing_lines`.
        partition: What the rule's `vary_by` has returned, as `partition_part` gives it.
    """
    common = plan.common
    chosen: list[object] = [plan.key, partition]
    if found is not None:
        unselecting = common.not_selecting
        for field, given in found.items():
            if field in unselecting:
                continue
            # With its meaning: a value of one field must not look like one of another.
            if field is _ORIGIN:
                chosen.append(field)  # that it is there is in the key, its value is not
            elif field is _FORWARDED:
                chosen.append((field, *_without_clients(given)))
            elif field is _COOKIE and not common.positions:
                chosen.append((field, *_cookies(common.read_cookies, given)))
            elif field in _CREDENTIALS and common.terms.annotated:
                # Without a lifetime the stored response says whether it may be used (RFC 9111
                # §3.5).
                chosen.append((field, *given) if partition is None else field)
            else:
                return None
    return (*chosen, *lines)


def choosing_lines(plan: KeptPlan, headers: Iterable[Header], *, spelt: bool) -> list[Header]:
    """The lines that are compared with those of other requests (RFC 9111 §4.1), as sent.

    Args:
        plan: The target's.
        headers: The request's field lines.
        spelt: Whether names may have capitals: servers send none, as ASGI wants.
    """
    fields = plan.common.fields
    if spelt:
        return [line for line in headers if line[0].lower() in fields]
    return [line for line in headers if line[0] in fields]


def _without_clients(lines: list[Header]) -> Iterable[object]:
    """The lines; as in the key those that also name the client, which selects nothing."""
    return forwarded_parts(lines) if name_client(lines) else lines


def _cookies(read: Callable[[bytes], object] | None, lines: list[Header]) -> tuple[object, ...]:
    if read is None:
        return tuple(value for _, value in lines)
    if len(lines) == 1:
        return (read(lines[0][1]),)
    return tuple([read(value) for _, value in lines])
