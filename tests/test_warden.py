"""A run that is killed leaves no process and no file behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import skips, warden
from tests.patience import wait_for
from tests.servers import ValkeyServer

RUN = """
import signal
import subprocess
import sys
from tests import servers, warden
# A run in the background of a shell ignores it.
signal.signal(signal.SIGINT, signal.default_int_handler)
watching = warden.begin()
server = servers.ValkeyServer().start()
# As a fleet: a process that starts another one, in a session of its own.
again = 'import subprocess; subprocess.run(["sleep", "600"], start_new_session=True)'
fleet = subprocess.Popen([sys.executable, "-c", again], start_new_session=True)
print(watching.mark, watching.folder, flush=True)
signal.pause()
"""

ROOT = Path(__file__).parent.parent

needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="no /proc")


@needs_proc
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_what_a_killed_run_has_started_ends(name: str) -> None:
    """A server with its files, and what another process has started in a session of its own."""
    environment = {key: value for key, value in os.environ.items() if key != warden.NAME}
    with subprocess.Popen(
        [sys.executable, "-c", RUN],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        env=environment,
        text=True,
    ) as run:
        assert run.stdout is not None
        mark, folder = run.stdout.readline().split()
        try:
            wait_for(lambda: len(warden.marked(mark)) == 3)
            assert list(Path(folder).glob("valkey-*"))
            run.send_signal(signal.Signals[name])
            wait_for(lambda: not warden.marked(mark) and not Path(folder).exists())
        finally:
            run.kill()


@needs_proc
def test_this_run_is_watched(valkey: ValkeyServer) -> None:
    """What the tests start bears the mark."""
    assert valkey.process is not None
    assert valkey.process.pid in warden.marked(os.environ[warden.NAME])


def test_reasons_are_counted() -> None:
    """The most frequent first."""
    reports = [("a.py", 3, "Skipped: no /proc"), ("b.py", 1, "Skipped: no browser")]
    reports.append(("b.py", 9, "Skipped: no browser"))

    told = skips.line(map(skips.reason, reports))

    assert told == "skipped: 3 (2 x no browser; 1 x no /proc)"
    assert skips.line([]) == "skipped: 0"
