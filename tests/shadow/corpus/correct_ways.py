"""Correct applications that use what the cache has besides plain routes."""

from typing import Annotated

from fastapi import Body, Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from asgi_multitier import cached, invalidates
from tests.shadow.corpus.application import Application
from tests.shadow.corpus.building import fastapi
from tests.shadow.corpus.traffic import Traffic
from tests.shadow.corpus.visitors import APPS, crowd
from tests.shadow.corpus.world import World

Text = Annotated[str, Body(embed=True)]


def guarded(world: World):
    """Notes of a user behind a guard, which some requests do not pass."""
    app = fastapi("Notes")
    bearer = HTTPBearer()
    notes = {"ann": "milk", "bob": "bread", "cid": "tea"}

    async def user(shown: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]) -> str:
        if shown.credentials not in notes:
            raise HTTPException(401)
        return shown.credentials

    @app.get("/note")
    @cached(120, guarded=True, vary_by="{user}", tags=["note:{user}"])
    async def note(user: Annotated[str, Depends(user)]) -> dict[str, str]:
        return {"text": notes[user]}

    @app.get("/weather", dependencies=[Depends(user)])
    @cached(120, guarded=True)
    async def weather() -> dict[str, str]:
        return {"sky": "blue"}

    @app.put("/note")
    @invalidates(tags=["note:{user}"])
    async def write(text: Text, user: Annotated[str, Depends(user)]) -> dict[str, str]:
        notes[user] = text
        return {"text": text}

    return app


async def drive_guarded(traffic: Traffic) -> None:
    chance = traffic.chance
    visitors = crowd(chance, 9, agents=APPS, cookies=False)
    for visitor in visitors:
        name = ("ann", "bob", "cid", "eve")[visitor.number % 4]
        visitor.fields["authorization"] = f"Bearer {name}"
    writers = [one for one in visitors if one.number % 4 != 3]
    for number in range(9):
        await traffic.browse(visitors, ["/note", "/note", "/weather"], 15)
        await traffic.change("PUT", "/note", {"text": f"no {number}"}, chance.choice(writers))


def old_meanwhile(world: World):
    """What is old may be given while it is renewed; a change drops it all the same."""
    app = fastapi("Leagues")
    tables = {league: [f"team {league}{n}" for n in range(4)] for league in "ab"}

    @app.get("/leagues/{league}")
    @cached(20, stale_while_revalidate=60, tags=["league:{league}"], ignore_cookies=True)
    async def table(league: str) -> list[str]:
        return tables[league]

    @app.post("/matches", status_code=201)
    @invalidates(tags=["league:{league}"])
    async def played(league: str) -> dict[str, str]:
        tables[league].append(tables[league].pop(0))
        return {"league": league}

    return app


async def drive_old_meanwhile(traffic: Traffic) -> None:
    visitors = crowd(traffic.chance, 12)
    for number in range(12):
        await traffic.browse(visitors, ["/leagues/a", "/leagues/b"], 13, gap=3)
        await traffic.change("POST", f"/matches?league={'ab'[number % 2]}")


def versioned(world: World):
    """Whether data are still the same is asked of the data; a worker changes them."""
    app = fastapi("Feeds")
    state = {"version": 1}

    def publish() -> None:
        state["version"] += 1

    world.every(60.0, publish)

    @app.get("/feed")
    @cached(5, validator=lambda request: state["version"], ignore_cookies=True, when=is_whole)
    async def feed(request: Request) -> dict[str, object]:
        draft = "draft" in request.query_params
        return {"version": state["version"], "at": str(world.utc) if draft else "published"}

    return app


def is_whole(request: Request) -> bool:
    """Whether a request asks for what is published; a draft is made for each."""
    return b"draft" not in request.scope["query_string"]


async def drive_versioned(traffic: Traffic) -> None:
    visitors = crowd(traffic.chance, 10)
    for minute in range(8):
        # What is stored last has ended before the next version is there.
        await traffic.wait(max(0.0, 1_000.5 + 60 * minute - traffic.world.now))
        while traffic.world.now < 1_000 + 60 * minute + 50:
            await traffic.browse(visitors, ["/feed", "/feed", "/feed?draft=1"], 1, gap=2.5)


APPLICATIONS = (
    Application("guarded", guarded, drive_guarded),
    Application("old-meanwhile", old_meanwhile, drive_old_meanwhile),
    Application("versioned", versioned, drive_versioned),
)
