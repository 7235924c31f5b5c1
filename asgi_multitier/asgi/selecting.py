"""What of a request selects its stored response, besides its target: pure.

Two requests of one target for which this is equal get the same key from `request_key`, and the same
representation where the response has a `Vary`; and either both or neither are refused. So what was
found out about one of them holds for the other (RFC 9111 §4.1).
"""

from collections.abc import Iterable

from .._types import Header
from ..policy.key import forwarded_parts, name_client
from ..policy.request import Field, FieldLines
from .plan import Plan
from .selected import Selecting

_COOKIE, _ORIGIN, _FORWARDED = Field.COOKIE, Field.ORIGIN, Field.FORWARDED
_CREDENTIALS = frozenset((Field.AUTHORIZATION, Field.CREDENTIALS))


def selecting(
    plan: Plan,
    found: FieldLines | None,
    headers: Iterable[Header],
    partition: bytes | None,
    *,
    spelt: bool,
) -> Selecting | None:
    """What of a request selects its response; None if that cannot be said by its fields alone.

    A condition or a range chooses what is sent of a response, not the response.

    Args:
        plan: The target's; it is `prompt`.
        found: What the scan found in the request's fields.
        headers: The field lines, as sent.
        partition: What the rule's `vary_by` has returned, as `partition_part` gives it.
        spelt: Whether names may have capitals: servers send none, as ASGI wants.
    """
    chosen: list[object] = [plan.key, partition]
    if found is not None:
        unselecting = plan.not_selecting
        for field, lines in found.items():
            if field in unselecting:
                continue
            # With its meaning: a value of one field must not look like one of another.
            if field == _ORIGIN:
                chosen.append(field)  # that it is there is in the key, its value is not
            elif field == _FORWARDED:
                chosen.append((field, *_without_clients(lines)))
            elif field == _COOKIE and not plan.positions:
                chosen.append((field, *_cookies(plan, lines)))
            elif field in _CREDENTIALS and plan.policy.lifetime is not None:
                # Without a lifetime the stored response says whether it may be used (RFC 9111
                # §3.5).
                chosen.append((field, *lines) if partition is None else field)
            else:
                return None
    if plan.fields:
        fields = plan.fields
        if spelt:
            chosen += [line for line in headers if line[0].lower() in fields]
        else:
            chosen += [line for line in headers if line[0] in fields]
    return tuple(chosen)


def _without_clients(lines: list[Header]) -> Iterable[object]:
    """The lines; as in the key those that also name the client, which selects nothing."""
    return forwarded_parts(lines) if name_client(lines) else lines


def _cookies(plan: Plan, lines: list[Header]) -> tuple[object, ...]:
    read = plan.read_cookies
    if read is None:
        return tuple(value for _, value in lines)
    return tuple([read(value) for _, value in lines])
