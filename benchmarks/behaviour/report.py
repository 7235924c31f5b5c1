"""Ask each cache the same questions, and print what each answers.

`--cases` names caches. Without `--peers` those that have to be installed are left out.
"""

import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..options import Options, table
from ..peers.environment import Environments, environments
from ..servers import MissingError
from . import one_process, two_processes
from .contenders import CONTENDERS, DECORATORS, MIDDLEWARES, PROXIES, US, version
from .contenders import one_process as alone
from .contenders import two_processes as together

GROUPS: tuple[tuple[str, Iterable[str]], ...] = (
    ("decorators", DECORATORS),
    ("middlewares", MIDDLEWARES),
    ("proxies", PROXIES),
)


def answers(name: str, peers: Environments) -> dict[str, str]:
    """What one of `CONTENDERS` answers, by question.

    Raises:
        MissingError: If it is not there.
    """
    contender = CONTENDERS[name]
    python = contender.python(name, peers)
    found = {}
    with tempfile.TemporaryDirectory(prefix="answers-") as made:
        folder = Path(made)
        with alone(contender, python, folder) as server:
            for question, asked in one_process.QUESTIONS.items():
                found[question] = asked(server, folder)
        if contender.proxy is None:
            with together(contender, python, folder) as pair:
                for question, told in two_processes.QUESTIONS.items():
                    found[question] = told(pair)
    return found


def _columns(names: Iterable[str], peers: Environments) -> Iterator[tuple[str, dict[str, str]]]:
    """Names with what they answer, of those that are there."""
    for name in names:
        try:
            yield f"{name} {version(name, peers)}".strip(), answers(name, peers)
        except (MissingError, RuntimeError) as missing:
            print(f"{name}: {missing}", file=sys.stderr)


def main(options: Options) -> Iterator[str]:
    """Ask, and give the lines of the report."""
    chosen = set(options.chosen(CONTENDERS))
    with environments(options.peers, options.environments) as peers:
        own = dict(_columns({US} & chosen, peers))
        for title, names in GROUPS:
            found = own | dict(_columns([name for name in names if name in chosen], peers))
            if not found:
                continue
            questions = {question for answered in found.values() for question in answered}
            order = (*one_process.QUESTIONS, *two_processes.QUESTIONS)
            rows = [
                [question, *(answered.get(question, "") for answered in found.values())]
                for question in order
                if question in questions
            ]
            yield from table([title, *found], rows)
            yield ""
