"""The names of a request's field lines, read on the hit path: all at once, for each number of them.

Python unpacks a known number of pairs in half the time that any loop over them takes, also one in
C. So there is a function for each usual number of lines: a simple client sends some five, a browser
a dozen, and a proxy adds a few.
"""

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Final, TypeAlias

from .._types import Header

Lines: TypeAlias = Sequence[Header]
Names: TypeAlias = tuple[bytes, ...]

_name = itemgetter(0)


def names_of(lines: Lines) -> Names:
    """The names of any number of lines, in order."""
    return tuple(map(_name, lines))


# fmt: off
def _of_4(lines: Lines) -> Names:
    (a, _), (b, _), (c, _), (d, _) = lines
    return a, b, c, d


def _of_5(lines: Lines) -> Names:
    (a, _), (b, _), (c, _), (d, _), (e, _) = lines
    return a, b, c, d, e


def _of_6(lines: Lines) -> Names:
    (a, _), (b, _), (c, _), (d, _), (e, _), (f, _) = lines
    return a, b, c, d, e, f


def _of_7(lines: Lines) -> Names:
    (a, _), (b, _), (c, _), (d, _), (e, _), (f, _), (g, _) = lines
    return a, b, c, d, e, f, g


def _of_8(lines: Lines) -> Names:
    (a, _), (b, _), (c, _), (d, _), (e, _), (f, _), (g, _), (h, _) = lines
    return a, b, c, d, e, f, g, h


def _of_9(lines: Lines) -> Names:
    (a, _), (b, _), (c, _), (d, _), (e, _), (f, _), (g, _), (h, _), (i, _) = lines
    return a, b, c, d, e, f, g, h, i


def _of_10(lines: Lines) -> Names:
    (a, _), (b, _), (c, _), (d, _), (e, _), (f, _), (g, _), (h, _), (i, _), (j, _) = lines
    return a, b, c, d, e, f, g, h, i, j


def _of_11(lines: Lines) -> Names:
    (a, _), (b, _), (c, _), (d, _), (e, _), (f, _), (g, _), (h, _), (i, _), (j, _), (k, _) = lines
    return a, b, c, d, e, f, g, h, i, j, k


def _of_12(lines: Lines) -> Names:
    (
        (a, _), (b, _), (c, _), (d, _), (e, _), (f, _), (g, _), (h, _), (i, _), (j, _), (k, _),
        (m, _),
    ) = lines
    return a, b, c, d, e, f, g, h, i, j, k, m


def _of_13(lines: Lines) -> Names:
    (
        (a, _), (b, _), (c, _), (d, _), (e, _), (f, _), (g, _), (h, _), (i, _), (j, _), (k, _),
        (m, _), (n, _),
    ) = lines
    return a, b, c, d, e, f, g, h, i, j, k, m, n


def _of_14(lines: Lines) -> Names:
    (
        (a, _), (b, _), (c, _), (d, _), (e, _), (f, _), (g, _), (h, _), (i, _), (j, _), (k, _),
        (m, _), (n, _), (o, _),
    ) = lines
    return a, b, c, d, e, f, g, h, i, j, k, m, n, o


def _of_15(lines: Lines) -> Names:
    (
        (a, _), (b, _), (c, _), (d, _), (e, _), (f, _), (g, _), (h, _), (i, _), (j, _), (k, _),
        (m, _), (n, _), (o, _), (p, _),
    ) = lines
    return a, b, c, d, e, f, g, h, i, j, k, m, n, o, p


def _of_16(lines: Lines) -> Names:
    (
        (a, _), (b, _), (c, _), (d, _), (e, _), (f, _), (g, _), (h, _), (i, _), (j, _), (k, _),
        (m, _), (n, _), (o, _), (p, _), (q, _),
    ) = lines
    return a, b, c, d, e, f, g, h, i, j, k, m, n, o, p, q


def _of_17(lines: Lines) -> Names:
    (
        (a, _), (b, _), (c, _), (d, _), (e, _), (f, _), (g, _), (h, _), (i, _), (j, _), (k, _),
        (m, _), (n, _), (o, _), (p, _), (q, _), (r, _),
    ) = lines
    return a, b, c, d, e, f, g, h, i, j, k, m, n, o, p, q, r


def _of_18(lines: Lines) -> Names:
    (
        (a, _), (b, _), (c, _), (d, _), (e, _), (f, _), (g, _), (h, _), (i, _), (j, _), (k, _),
        (m, _), (n, _), (o, _), (p, _), (q, _), (r, _), (s, _),
    ) = lines
    return a, b, c, d, e, f, g, h, i, j, k, m, n, o, p, q, r, s


def _of_19(lines: Lines) -> Names:
    (
        (a, _), (b, _), (c, _), (d, _), (e, _), (f, _), (g, _), (h, _), (i, _), (j, _), (k, _),
        (m, _), (n, _), (o, _), (p, _), (q, _), (r, _), (s, _), (t, _),
    ) = lines
    return a, b, c, d, e, f, g, h, i, j, k, m, n, o, p, q, r, s, t


def _of_20(lines: Lines) -> Names:
    (
        (a, _), (b, _), (c, _), (d, _), (e, _), (f, _), (g, _), (h, _), (i, _), (j, _), (k, _),
        (m, _), (n, _), (o, _), (p, _), (q, _), (r, _), (s, _), (t, _), (u, _),
    ) = lines
    return a, b, c, d, e, f, g, h, i, j, k, m, n, o, p, q, r, s, t, u
# fmt: on


READERS: Final[dict[int, Callable[[Lines], Names]]] = {
    4: _of_4,
    5: _of_5,
    6: _of_6,
    7: _of_7,
    8: _of_8,
    9: _of_9,
    10: _of_10,
    11: _of_11,
    12: _of_12,
    13: _of_13,
    14: _of_14,
    15: _of_15,
    16: _of_16,
    17: _of_17,
    18: _of_18,
    19: _of_19,
    20: _of_20,
}
"""What reads the names of so many lines, as `names_of` does."""
