"""What of a request selects its stored response, besides its target: pure.

Two requests of one target for which this is equal get the same key from `request_key`, and the same
representation where the response has a `Vary`; and either both or neither are refused. So what was
found out about one of them holds for the other (RFC 9111 §4.1).

A condition or a range chooses what is sent of a response, not the response.
"""

from collections.abc import Sequence

from .._types import Header
from .kept_plan import KeptPlan
from .selected import Selecting
from .way import Way


def selecting(
    plan: KeptPlan, way: Way, headers: Sequence[Header], partition: bytes | None
) -> Selecting:
    """What of a request selects its response.

    Args:
        plan: The target's; it is `prompt`.
        way: How requests with these names are answered; it is `at_once`.
        headers: The request's field lines.
        partition: What the rule's `vary_by` has returned, as `partition_part` gives it.
    """
    if way.read is not None:  # as below, of one line: a call and a list less
        return plan.key, partition, way.parts[0][1], way.read(headers[way.place][1])
    chosen: list[object] = [plan.key, partition]
    for place, field, read in way.parts:
        if field is None:
            chosen.append(tuple(headers[place]))
        else:
            # With its meaning: a value of one field must not look like one of another.
            chosen.append(field)
            if read is not None:
                chosen.append(read(headers[place][1]))
    return tuple(chosen)
