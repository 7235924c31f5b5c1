"""What the terminal shows: where to look, and the same without a browser."""

import shlex
import sys

from .fleet import Fleet

TITLES = {"fastapi": "FastAPI", "starlette": "Starlette"}

COMMANDS = """\
see() { curl -si "$@" | grep -iE 'cache-status|price_cents'; echo; }
part() { curl -s -X POST -H "Authorization: Bearer $TOKEN" $PAGE/parts/$1/$2; echo; }
new() { see -X PUT -H 'Content-Type: application/json' -d "{\\"price_cents\\": $2}" $1; }

see $A/products/7/price       # fwd=uri-miss: the application runs on A, which takes 50 ms
see $B/products/7/price       # hit, detail=l2: B finds the answer of A in Valkey
see $B/products/7/price       # hit, detail=l1: from then on B has it in memory
new $A/products/7/price 4200  # edit on A ...
see $B/products/7/price       # ... and B never shows the old price

for c in EUR USD EUR GBP EUR USD EUR GBP EUR USD; do
  curl -s -H "Accept-Currency: $c" $A/products/8/offer; echo
done                          # careless, in shadow: all answers are right; the report ...

part valkey kill              # the second tier dies
see $B/products/7/price       # no request fails: memory first, later the application
part valkey restart           # it comes back, empty; both follow it again by themselves

sleep 1; ASGI_MULTITIER_ADMIN_TOKEN=$TOKEN $PY -m asgi_multitier report --url $A/_cache
                              # ... tells which of the cache's would have been wrong, and why"""
"""Lines for a shell that knows `A`, `B`, `PAGE`, `TOKEN` and `PY`, the Python with the package."""


def guide(fleet: Fleet) -> str:
    """The text that `make demo` prints when everything runs."""
    a, b = fleet.addresses
    python = shlex.quote(sys.executable)
    parts = "\n".join(
        f"  {one.name}  {one.address}  {TITLES[one.framework]}, memory and {fleet.valkey.url}"
        for one in fleet.instances
    )
    commands = f"A={a} B={b} PAGE={fleet.page}\nTOKEN={fleet.token}\nPY={python}\n{COMMANDS}"
    indented = "\n".join(f"  {line}".rstrip() for line in commands.splitlines())
    return f"""\
Edit on A: B never shows the old price.

{parts}

In a browser:

  {fleet.page}/#{fleet.token}

Without one, line by line in a shell; each answer says what the cache did:

{indented}

Below each instance, such as {a}, its cache is at /_cache/ (with the same token),
and what it counts at /metrics/.

Ctrl-C stops everything."""


def ended(fleet: Fleet, name: str) -> str:
    """What is printed when a part does not run any more."""
    return (
        f"{name} does not run: {fleet.why_not(name)}. The rest goes on. Restart it on the page, "
        f"or by `part {name} restart`."
    )
