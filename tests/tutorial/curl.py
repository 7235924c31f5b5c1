"""What `curl` prints, for the options that the pages use, also where it is not installed."""

import http.client
import re
import shlex
import time
from argparse import ArgumentParser
from urllib.parse import urlsplit

_OPTIONS = ArgumentParser(allow_abbrev=False)
_OPTIONS.add_argument("-i", action="store_true")
_OPTIONS.add_argument("-s", action="store_true")
_OPTIONS.add_argument("-X", default="GET")
_OPTIONS.add_argument("-H", action="append", default=[])
_OPTIONS.add_argument("-w", default="")
_OPTIONS.add_argument("url")

_LOOP = re.compile(r"for \w+ in (?P<words>[\w ]+); do (?P<command>.+); done")


def run(line: str) -> str:
    """The output of a line of a shell that calls `curl`, once or in a loop."""
    loop = _LOOP.fullmatch(line)
    if loop is not None:
        return "".join(run(loop["command"]) for _ in loop["words"].split())
    program, *words = shlex.split(line)
    assert program == "curl", line
    return _curl(words)


def _curl(words: list[str]) -> str:
    given = _OPTIONS.parse_args(words)
    url = urlsplit(given.url)
    fields = dict(re.split(r": *", field, maxsplit=1) for field in given.H)
    begun = time.monotonic()
    connection = http.client.HTTPConnection(str(url.hostname), url.port, timeout=60)
    try:
        target = f"{url.path}?{url.query}" if url.query else url.path
        connection.request(given.X, target, headers=fields)
        answer = connection.getresponse()
        body = answer.read().decode()
    finally:
        connection.close()
    head = [f"HTTP/1.1 {answer.status} {answer.reason}"]
    head += [f"{name}: {value}" for name, value in answer.getheaders()]
    said = "\n".join([*head, "", body]) if given.i else body
    took = f"{time.monotonic() - begun:.6f}"
    return said + given.w.replace("\\n", "\n").replace("%{time_total}", took)
