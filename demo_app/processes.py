"""The end of a process that this one has started."""

import subprocess

STOP_SECONDS = 5.0


def end(process: "subprocess.Popen[bytes]") -> None:
    """Ask it to end; make it end where it does not within five seconds."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
