"""Tries the package with versions of everything that it works with, and prints a matrix.

    python -m tests.compat                       all of it
    python -m tests.compat litestar,servers      some subjects
    python -m tests.compat fastapi=0.115,0.140,quart   versions that begin so, and a subject

Subjects are the frameworks of `tests.compat.catalogue`, `servers`, `redis` and `python`. Each run
leaves its output in `.environments/output/`. The exit code is 1 if anything failed.
"""

import sys
import time

from tests.compat.environments import Environment, UnavailableError
from tests.compat.matrix import Row, run, said
from tests.compat.plan import SUBJECTS


def chosen_by(words: list[str]) -> dict[str, list[str]]:
    """Subjects, and with what their versions begin; all of them where nothing is said.

    Args:
        words: Subjects, one or several to a word with commas between them. What follows a `=`, and
            each number after it, are versions of the subject before.
    """
    chosen: dict[str, list[str]] = {}
    versions: list[str] = []
    for piece in (piece for word in words for piece in word.split(",") if piece):
        if versions and piece[0].isdigit():
            versions.append(piece)
            continue
        subject, _, version = piece.partition("=")
        versions = chosen.setdefault(subject, [])
        versions += [version] if version else []
    return chosen or {subject: [] for subject in SUBJECTS}


def main(words: list[str]) -> int:
    """Run what is chosen; 1 if anything failed."""
    chosen = chosen_by(words)
    if unknown := set(chosen) - set(SUBJECTS):
        print(f"no such subject: {', '.join(unknown)}; there are {', '.join(SUBJECTS)}")
        return 1
    own = Environment(sys.executable)
    rows: list[Row] = []
    for subject, begins in chosen.items():
        try:
            for job in SUBJECTS[subject](own):
                if begins and not any(f" {version}" in job.label for version in begins):
                    continue
                begun = time.monotonic()
                rows.append(row := run(job))
                print(f"{row.line()}, {time.monotonic() - begun:.0f} s", flush=True)
        except UnavailableError as error:
            print(f"not to be had: {subject}: {error}", flush=True)
            rows.append(Row(subject, subject, own.version, broken=str(error)))
    print(said(rows))
    return int(any(row.bad for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
