"""What names the answer to a guarded request: its key, its name and its tags.

Known once the framework has let the request in: templates are over the endpoint's arguments.
"""

from typing import Any

from ...config.templates import Template
from ...engine.engine import Engine
from ...policy.reasons import Reason
from ...routing.arguments import Missing, partition_of, texts_of_arguments
from ...routing.endpoints import Call
from ..admission import partition_by
from ..framework import request_of
from ..request import Request
from ..request_key import request_key


def key_at_once(request: Request, call: Call) -> str | None:
    """The key of this request; None if a callable of the rule has to be asked for it.

    Raises:
        Missing: If it is not known whose copy it gets.
    """
    vary_by = request.plan.policy.vary_by
    if vary_by is None:
        return _key(request, None)
    if isinstance(vary_by, Template):
        return _key(request, partition_of(vary_by, call.arguments()))
    return None


async def key_of(engine: Engine, request: Request, call: Call) -> str | None:
    """The key of this request; None if it is not known whose copy it gets."""
    vary_by = request.plan.policy.vary_by
    try:
        if vary_by is None or isinstance(vary_by, Template):
            return key_at_once(request, call)
        partition = await partition_by(vary_by, _view(request, call))
    except Missing:
        return None
    except Exception as error:  # noqa: BLE001  # a callable of the rule
        engine.events.callback_failed("vary_by", error, request.plan.resolved.label)
        return None
    return None if partition is None else _key(request, partition)


def _key(request: Request, partition: bytes | None) -> str:
    headers = request.headers if request.plan.policy.vary else ()
    return request_key(request.plan, headers, request.found, partition, request.content_part)


def _view(request: Request, call: Call) -> Any:
    """The request for the rule's callables, with what the guard has left in its state."""
    if not request.plan.policy.body:
        return call.request
    scope = call.request.scope
    return request_of(scope, scope.get("path_params", {}), request.content or b"")


def labels_of(engine: Engine, request: Request, call: Call) -> tuple[str, tuple[str, ...]] | Reason:
    """The name and the tags of the response; why it cannot have them."""
    policy, resolved = request.plan.policy, request.plan.resolved
    if policy.key is None and not policy.tags:
        return "", resolved.alias
    try:
        known = resolved.values(request.scope.get("query_string", b""))
        values = texts_of_arguments(policy.label_names, known, call.endpoint, call.arguments())
        return resolved.name_and_tags(values, _view(request, call)) or Reason.TAGS
    except Missing:
        return Reason.TAGS
    except Exception as error:  # noqa: BLE001  # a callable of the rule
        engine.events.callback_failed("tags", error, resolved.label)
        return Reason.BROKEN
