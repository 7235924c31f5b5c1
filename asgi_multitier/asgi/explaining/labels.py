"""What selects the response to a request, and which routes drop it."""

from ...config.templates import Template, Texts
from ...explain.effects import Carried, Changes, Target, carried_by
from ...policy.reasons import Reason
from ...selectors import aliased
from ..request import Request
from .draft import Draft
from .shown import templates_of


def label(request: Request, draft: Draft, changes: Changes) -> None:
    """Find the name and the tags of a response, as far as they are known, and who drops it.

    Args:
        request: The request.
        draft: Takes what is found.
        changes: The routes that may change something.
    """
    policy, asks = request.plan.policy, draft.question.run_callables
    draft.tags = templates_of(policy)
    texts: Texts = (*policy.tags, *(() if policy.key is None else (policy.key,)))
    callables = [text for text in texts if not isinstance(text, Template)]
    if _names_arguments(request) or (callables and not asks):
        draft.leave("tags")
    else:
        try:
            draft.labels = request.name_and_tags()
        except Exception as error:  # noqa: BLE001  # a callable of the rule
            draft.reason = Reason.BROKEN
            draft.fail("tags", error)
    if draft.labels is not None and draft.question.reveal:
        tags = draft.labels[1]
        draft.tags = tags[1:] if aliased(tags) else tags
    draft.dropped_by = changes.on(_target(request, draft))


def _names_arguments(request: Request) -> bool:
    """Whether templates are over arguments of an endpoint, which are not known here."""
    policy = request.plan.policy
    if not policy.guarded:
        return False
    known = request.plan.resolved.values(request.scope["query_string"])
    return not known.keys() >= set(policy.label_names)


def _target(request: Request, draft: Draft) -> Target:
    policy, resolved, path = request.plan.policy, request.plan.resolved, request.path
    reveal = draft.question.reveal
    name, tags = draft.labels or ("", resolved.alias)
    alias = aliased(tags)
    if draft.labels is None:
        carried = carried_by(policy.tags)
    else:
        carried = tuple(
            Carried(tag if reveal else draft.redaction.tag(tag), text=tag)
            for tag in (tags[1:] if alias else tags)
        )
    return Target(
        shown=path if reveal else resolved.label,
        route=resolved.route,
        template="" if resolved.leaf is None else resolved.leaf.path,
        paths=(path, *((alias,) if alias else ())),
        tags=(*carried, *carried_by(policy.tags_from)),
        names=(Carried(name if reveal else "key", text=name),) if name else (),
    )
