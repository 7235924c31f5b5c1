"""Tries the package with versions of everything that it works with, and prints a matrix.

    python -m tests.compat                       all of it
    python -m tests.compat litestar servers      some subjects
    python -m tests.compat fastapi=0.115,0.140   versions that begin so

Subjects are the frameworks of `tests.compat.catalogue`, `servers`, `redis` and `python`. Each run
leaves its output in `.environments/output/`. The exit code is 1 if anything failed.
"""

import sys
import time

from tests.compat.environments import Environment, UnavailableError
from tests.compat.matrix import Row, run, said
from tests.compat.plan import SUBJECTS


def main(words: list[str]) -> int:
    """Run what is chosen; 1 if anything failed."""
    chosen = dict(word.partition("=")[::2] for word in words) or dict.fromkeys(SUBJECTS, "")
    if unknown := set(chosen) - set(SUBJECTS):
        print(f"no such subject: {', '.join(unknown)}; there are {', '.join(SUBJECTS)}")
        return 1
    own = Environment(sys.executable)
    rows: list[Row] = []
    for subject, begins in chosen.items():
        try:
            for job in SUBJECTS[subject](own):
                versions = tuple(f" {text}" for text in begins.split(",") if text)
                if versions and not any(text in job.label for text in versions):
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
