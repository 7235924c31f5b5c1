"""Runs of tests as rows: what passed, what failed, and what does not apply and why."""

import re
import subprocess
from dataclasses import dataclass, field
from xml.etree import ElementTree

from tests.compat.catalogue import lacking
from tests.compat.environments import PLACE, ROOT, UnavailableError
from tests.compat.plan import Job, environment_of
from tests.compat.serving import SERVERS

OUTPUT = PLACE / "output"

_AT_MOST = 1800


@dataclass
class Row:
    """What became of one run.

    Attributes:
        subject: What `ONLY=` names.
        label: What was tried, with its version.
        python: The version of Python.
        passed: How many tests.
        failed: Their names.
        lacking: What does not apply, and why.
        skipped: Why tests were skipped.
        broken: Why nothing was run.
    """

    subject: str
    label: str
    python: str
    passed: int = 0
    failed: list[str] = field(default_factory=list)
    lacking: dict[str, str] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    broken: str = ""

    @property
    def bad(self) -> bool:
        """Whether it is to be looked at: something failed, or nothing ran."""
        return bool(self.failed or self.broken or not self.passed)

    def line(self) -> str:
        """The row as text."""
        if self.broken:
            return f"{self.label}: not run: {self.broken}"
        return f"{self.label}: {self.passed} passed, {len(self.failed)} failed"


def run(job: Job) -> Row:
    """Install what a job needs and run its tests."""
    row = Row(job.subject, job.label, job.environment.version)
    for framework, server in job.rows:
        row.lacking |= lacking(framework) if job.subject != "python" else {}
        row.lacking |= SERVERS[server].lacks if job.subject == "servers" else {}
    try:
        folder = job.folder()
    except UnavailableError as error:
        row.broken = f"it does not install: {error}"
        return row
    OUTPUT.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"[^\w.]+", "-", f"{job.label}-{job.environment.version}")
    report, output = OUTPUT / f"{name}.xml", OUTPUT / f"{name}.txt"
    report.unlink(missing_ok=True)
    # What another version deprecates or leaves open is no error of this package.
    command = [job.environment.python, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["-W", "default", "-m", "not soak", f"--junitxml={report}", *job.tests]
    with output.open("w") as file:
        subprocess.run(
            ["nice", *command],
            check=False,
            cwd=ROOT,
            env=environment_of(job, folder),
            stdout=file,
            stderr=subprocess.STDOUT,
            timeout=_AT_MOST,
        )
    if not report.exists():
        row.broken = f"pytest ended without a report; see {output.relative_to(ROOT)}"
        return row
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            row.failed.append(f"{case.get('classname')}::{case.get('name')}")
        elif (skipped := case.find("skipped")) is not None:
            why = skipped.get("message") or ""
            # A test of other frameworks has no parameters here.
            if not why.startswith(("got empty parameter set", "collection skipped")):
                row.skipped.append(why)
        else:
            row.passed += 1
    return row


def said(rows: list[Row]) -> str:
    """The matrix as text."""
    wide = max([len(row.label) for row in rows] + [4])
    lines = ["", f"{'what':{wide}}  {'Python':8} passed failed  not applicable"]
    for row in rows:
        names = ", ".join(row.lacking) if not row.broken else f"not run: {row.broken}"
        numbers = f"{row.passed:6} {len(row.failed):6}"
        lines.append(f"{row.label:{wide}}  {row.python:8} {numbers}  {names}".rstrip())
    for row in rows:
        lines += [f"failed, {row.label}: {name}" for name in row.failed]
        lines += [f"skipped, {row.label}: {why}" for why in dict.fromkeys(row.skipped)]
    why = {f"{row.subject}: {name}": text for row in rows for name, text in row.lacking.items()}
    lines += [f"not applicable, {name}: {text}" for name, text in why.items()]
    bad = [row.label for row in rows if row.bad]
    return "\n".join([*lines, f"{len(rows)} rows, failed: {', '.join(bad) or 'none'}"])
