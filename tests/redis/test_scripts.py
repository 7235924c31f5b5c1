"""The scripts, against their model and on servers of every age."""

from random import Random
from typing import Any

import pytest
from redis.exceptions import NoScriptError, ResponseError

from asgi_multitier.coherence.records import Body
from asgi_multitier.entry import Born
from asgi_multitier.redis import Link
from asgi_multitier.redis.scripts import APPEND, ATTACH, Script
from tests.coherence.world import ModelServer
from tests.fakeredis_server import Server

EMPTY = Body(1, "n", "", 0, 0, 0.0, ())
LIFE = 60_000
MOVES = ("append",) * 5 + ("attach",) * 3 + ("condemn", "trim", "control", "log")


@pytest.mark.parametrize("seed", range(8))
async def test_the_scripts_do_what_the_model_does(
    server: Server, namespace: str, seed: int
) -> None:
    """Two hundred random steps with faults: the same numbers, chains and facts at each."""
    chance = Random(seed)
    link = Link(server.target)
    control, log = keys = (f"{{{namespace}}}:ctl", f"{{{namespace}}}:log")
    model = ModelServer()
    names: dict[str, str] = {}

    def same(name: str, modelled: str) -> None:
        """Generations are named at random: equal where they were equal before."""
        assert names.setdefault(name, modelled) == modelled

    for step in range(200):
        mine = chance.randrange(0, model.seq + 3)
        move = chance.choice(MOVES)
        token = f"{seed}-{step}"
        if move == "append":
            gen, seq = await link.run(
                lambda c, t=token, m=mine: APPEND.run(
                    c, keys, t, b"", b"", f"g{t}", 1000, LIFE, m, 1_000_000
                )
            )
            born = model.append(token, EMPTY, mine)
            same(gen.decode(), born.gen)
            assert int(seq) == born.seq
        elif move in ("attach", "condemn"):
            condemned = ""
            if move == "condemn" and model.gen is not None:
                condemned = server.command("HGET", control, "gen").decode()
            reply = await link.run(
                lambda c, t=token, m=mine, x=condemned: ATTACH.run(
                    c, keys, m, f"g{t}", x, 1, LIFE, 1
                )
            )
            facts = model.attach(mine, (condemned and model.gen) or "")
            same(reply[0].decode(), facts.gen)
            assert int(reply[1]) == facts.seq
            assert [None if n is None else int(n) for n in reply[3:5]] == [facts.first, facts.top]
            if not (reply[2].startswith(b"gen:") or facts.last.startswith("gen:")):
                assert reply[2].decode() == facts.last
            if reply[5] is None or not reply[5].startswith(b"gen:"):
                assert (reply[5] and reply[5].decode()) == facts.at
        elif move == "trim":
            server.command("XTRIM", log, "MAXLEN", "=", 3)
            model.trim(3)
        elif move == "control":
            server.command("DEL", control)
            model.evict_control()
        else:
            server.command("DEL", log)
            model.trim(0)
    await link.close()


class OldServer:
    """A client of a server that does not know the first line of a script."""

    def __init__(self) -> None:
        self.known: set[str] = set()
        self.commands: list[str] = []

    async def execute_command(self, command: str, script: str, *rest: Any) -> str:
        self.commands.append(command)
        if command == "EVALSHA":
            if script not in self.known:
                raise NoScriptError
            return "done"
        if script.startswith("#!"):
            raise ResponseError("Error compiling script (new function): unexpected symbol near '#'")
        self.known.add(Script(script, "x")._bare_digest)
        return "done"


async def test_a_server_before_redis_7_gets_the_script_without_flags() -> None:
    """Found out at the first run; the digest is enough from then on."""
    script, server = Script("return 1", "allow-oom"), OldServer()

    assert await script.run(server, []) == "done"  # type: ignore[arg-type]
    assert server.commands[-1] == "EVAL"
    assert await script.run(server, []) == "done"  # type: ignore[arg-type]
    assert server.commands[-1] == "EVALSHA"


async def test_an_error_of_the_script_itself_is_not_taken_for_an_old_server(
    server: Server,
) -> None:
    """It is raised as it is."""
    link = Link(server.target)
    script = Script("return redis.error_reply('ERR deliberate')", "")
    with pytest.raises(Exception, match="deliberate"):
        await link.run(lambda client: script.run(client, []))
    await link.close()


def test_a_script_without_flags_says_so_and_has_a_command_for_pipelines() -> None:
    """`EVALSHA digest count keys args`."""
    script = Script("return 1", "")

    assert script._text.startswith("#!lua\n")
    assert script.command(["k"], "a") == ("EVALSHA", script._digest, 1, "k", "a")
    assert Born("g", 1).fence == -1
