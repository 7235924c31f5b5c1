"""Source text to paste: `@cached(...)` with what is missing, and `@invalidates(...)`.

What is proposed keeps the options that are there, and is accepted by the package: options that
would contradict it are taken out.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from ..config.policy import Policy
from ..config.templates import Template
from ..errors import ConfigError
from ..events import UNROUTED
from ..policy.cookies import is_ignored
from .edits import parameters, segments, template_of, words

NO_CACHE: Final = "@no_cache"
"""What an endpoint says whose answers are not to be stored."""

BY_ADDRESS: Final = 'lambda request: request.scope["client"][0]'
"""What separates clients by their address."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to be added to a rule.

    Attributes:
        vary: Request fields.
        cookies: Names of cookies.
        query: Query parameters.
        vary_by: Source text of a function; "" for none.
        lifetime: Seconds; None to leave it.
        tags: Templates of tags.
        ignore_cookies: Whether no other cookie counts.
        never: Whether nothing is to be stored.
    """

    vary: tuple[str, ...] = ()
    cookies: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    vary_by: str = ""
    lifetime: float | None = None
    tags: tuple[str, ...] = ()
    ignore_cookies: bool = False
    never: bool = False

    def __add__(self, other: "Changes") -> "Changes":
        lifetimes = [one for one in (self.lifetime, other.lifetime) if one is not None]
        return Changes(
            vary=_joined(self.vary, other.vary),
            cookies=_joined(self.cookies, other.cookies),
            query=_joined(self.query, other.query),
            vary_by=self.vary_by or other.vary_by,
            lifetime=min(lifetimes, default=None),
            tags=_joined(self.tags, other.tags),
            ignore_cookies=self.ignore_cookies or other.ignore_cookies,
            never=self.never or other.never,
        )


def _joined(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*one, *other)))


def written_at(route: str, policy: Policy | None, changes: Changes) -> str | None:
    """What to write for a route: an annotation, or a rule where there is no endpoint to annotate.

    Args:
        route: Its label. Without an endpoint it names the glob of its rule, or nothing.
        policy: The rule that holds; None for none.
        changes: What is to be added.

    Returns:
        Source text; None where it cannot be written.
    """
    text, where = cached_text(policy, changes), template_of(route)
    if text is None or where == UNROUTED:
        return None
    if not is_glob(where):
        return text
    given = "None" if text == NO_CACHE else text.removeprefix("@cached(").removesuffix(")")
    return f"Rule({_text(where)}, {given})"


def is_glob(template: str) -> bool:
    """Whether a label names the glob of a rule in place of a path template."""
    return "*" in template or "?" in template


def cached_text(policy: Policy | None, changes: Changes) -> str | None:
    """The annotation of a route with changes; None where it cannot be written as text.

    Args:
        policy: The rule that holds; None for none.
        changes: What is to be added.
    """
    if changes.never:
        return NO_CACHE
    given: dict[str, Any] = {} if policy is None else _given(policy)
    lifetime = policy.lifetime if policy is not None else None
    if changes.lifetime is not None:
        lifetime = changes.lifetime
    if policy is None and lifetime is None:
        return None
    if any(_text(value) is None for value in given.values()):
        return None
    wanted = _changed(given, changes)
    options = _accepted(lifetime, wanted, changes)
    if options is None:
        return None
    shown = {name: _text(value) for name, value in options.items()}
    if changes.vary_by:
        shown["vary_by"] = changes.vary_by
    told = ", ".join(f"{name}={text}" for name, text in sorted(shown.items(), key=_place))
    if lifetime is None:
        return f"@cached(Policy.from_origin({told}))"
    return f"@cached({', '.join(filter(None, (f'{lifetime:.15g}', told)))})"


_ORDER: Final = ("vary", "cookies", "query", "vary_by", "tags")


def _place(option: tuple[str, str | None]) -> int:
    """What the change is about comes first."""
    return _ORDER.index(option[0]) if option[0] in _ORDER else len(_ORDER)


def _given(policy: Policy) -> dict[str, Any]:
    """The options of a policy that are not as they are without being given."""
    return {
        one.name: getattr(policy, one.name)
        for one in fields(Policy)
        if one.init and one.name != "lifetime" and getattr(policy, one.name) != one.default
    }


def _changed(given: Mapping[str, Any], changes: Changes) -> dict[str, Any]:
    wanted = dict(given)
    if changes.vary:
        vary = [name.decode() for name in wanted.get("vary", ())]
        wanted["vary"] = [*vary, *(name for name in changes.vary if name not in vary)]
    if changes.cookies:
        wanted["cookies"] = list(_joined(tuple(wanted.get("cookies", ())), changes.cookies))
        ignored = wanted.get("ignore_cookies", False)
        if any(is_ignored(name.encode("latin-1"), ignored) for name in changes.cookies):
            del wanted["ignore_cookies"]
    if changes.ignore_cookies and not changes.cookies and not wanted.get("cookies"):
        wanted["ignore_cookies"] = True
    if changes.query and wanted.get("query") is not None:
        wanted["query"] = list(_joined(tuple(wanted["query"]), changes.query))
    if changes.tags:
        tags = [one.text if isinstance(one, Template) else one for one in wanted.get("tags", ())]
        wanted["tags"] = list(dict.fromkeys([*tags, *changes.tags]))
    return wanted


_IN_THE_WAY: Final = (
    *("heuristics", "partial", "public", "compress_personal", "compress", "ignore_cookies"),
    "guarded",
)
"""Options that may contradict what is added, in the order in which they are taken out."""


def _accepted(
    lifetime: float | None, wanted: dict[str, Any], changes: Changes
) -> dict[str, Any] | None:
    """The options as the package takes them, without those that contradict what is added."""
    tried = dict(wanted)
    if changes.vary_by:
        tried["vary_by"] = _anything
    if _is_taken(lifetime, tried):
        found = tried
    else:
        for name in _IN_THE_WAY:
            tried.pop(name, None)
            if _is_taken(lifetime, tried):
                break
        else:
            return None
        found = tried
    if changes.vary_by:
        found.pop("vary_by")
    return found


def _is_taken(lifetime: float | None, options: Mapping[str, Any]) -> bool:
    try:
        Policy(lifetime, **options)
    except ConfigError:
        return False
    return True


def _anything(_: object) -> str:
    return ""


def _text(value: Any) -> str | None:
    """A value as source text; None where only the source itself can say it."""
    if isinstance(value, bool) or value is None:
        return repr(value)
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, int):
        return repr(value)
    if isinstance(value, Template):
        return _text(value.text)
    if isinstance(value, bytes):
        return _text(value.decode("latin-1"))
    if isinstance(value, str):
        # Characters that turn the text around it, or end its line, are not pasted.
        return json.dumps(value, ensure_ascii=False) if value.isprintable() else ascii(value)
    if isinstance(value, list | tuple | frozenset):
        texts = [_text(one) for one in (sorted(value) if isinstance(value, frozenset) else value)]
        return None if None in texts else f"[{', '.join(filter(None, texts))}]"
    return _name_of(value)


def _name_of(function: Callable[..., Any]) -> str | None:
    """The name by which a function of a module can be written; None for any other."""
    name = getattr(function, "__qualname__", "")
    return name if name.isidentifier() else None


@dataclass(frozen=True, slots=True)
class Dropping:
    """What a mutation is to name.

    Attributes:
        tags, paths, patterns: As in `@invalidates`.
        settle: Seconds.
    """

    tags: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    settle: int = 0

    def text(self) -> str:
        """The annotation."""
        named = {"tags": self.tags, "paths": self.paths, "patterns": self.patterns}
        parts = [f"{name}={_text(list(texts))}" for name, texts in named.items() if texts]
        if self.settle:
            parts.append(f"settle={self.settle}")
        return f"@invalidates({', '.join(parts)})"


def dropping(mutation: str, route: str, policy: Policy | None, common: Iterable[str]) -> Dropping:
    """What a mutation is to name so that it drops the answers of a route.

    A tag of theirs, if the mutation knows what is in it; else their paths; else all of them.

    Args:
        mutation: Label of the mutation.
        route: Label of the route.
        policy: Its rule; None where it is not known.
        common: Tags that all of its entries carry.
    """
    known = set(parameters(template_of(mutation), template_of(mutation)))
    templates = [one for one in (policy.tags if policy else ()) if isinstance(one, Template)]
    fitting = [one for one in templates if known.issuperset(one.fields)]
    if fitting:
        most = max(fitting, key=lambda one: len(one.fields))
        return Dropping(tags=(most.text,))
    shared = sorted(tag for tag in common if tag.isprintable())
    if shared:
        return Dropping(tags=(shared[0],))
    path = plain(template_of(route))
    own = set(parameters(path, path))
    if known >= own:
        return Dropping(paths=(path,))
    return Dropping(patterns=(_pattern(path),))


def plain(template: str) -> str:
    """A path template without the types of its places."""
    return "/" + "/".join(
        f"{{{part[1:-1].partition(':')[0]}}}" if _is_place(part) else part
        for part in segments(template)
    )


def _pattern(template: str) -> str:
    return "/" + "/".join("*" if _is_place(part) else part for part in segments(template))


def _is_place(part: str) -> bool:
    return part.startswith("{") and part.endswith("}")


def tag_of(route: str) -> str:
    """The tag that is proposed for a route: `price:{id}` for `GET /prices/{id}`."""
    path = plain(template_of(route))
    said, places = words(path), [part for part in segments(path) if _is_place(part)]
    word = said[-1] if said else "page"
    if not places:
        return word
    name = places[-1][1:-1]
    return f"{_singular(word) if name in _GENERAL else name}:{places[-1]}"


_GENERAL: Final = frozenset(
    (
        *("id", "ids", "pk", "uid", "uuid", "key", "number", "num", "no", "n", "slug", "name"),
        *("path", "item", "code", "index"),
    )
)
"""Names of places that do not say of what they are."""


def _singular(word: str) -> str:
    return f"{word[:-3]}y" if word.endswith("ies") else word.removesuffix("s") or word


def merged(changes: Sequence[Changes]) -> Changes:
    """All changes of a route together."""
    total = Changes()
    for one in changes:
        total += one
    return replace(total, vary_by="") if total.cookies or total.never else total
