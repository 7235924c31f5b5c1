"""Correct applications whose answers change at moments that tempt to accuse them."""

from typing import Annotated

from fastapi import Body, HTTPException, Response
from starlette.applications import Starlette
from starlette.requests import Request as Asked
from starlette.responses import JSONResponse
from starlette.responses import Response as Answer
from starlette.routing import Route

from asgi_multitier import Policy, Rule, cached, invalidates
from tests.shadow.corpus.application import Application
from tests.shadow.corpus.building import fastapi, healthz
from tests.shadow.corpus.traffic import Traffic
from tests.shadow.corpus.visitors import crowd
from tests.shadow.corpus.world import World

Text = Annotated[str, Body(embed=True)]


def seats(world: World):
    """Seats are booked all the time; a booking is seen by readers before it is answered."""
    app = fastapi("Seats")
    taken: dict[int, list[int]] = {hall: [] for hall in (1, 2)}

    @app.get("/halls/{hall}/seats")
    @cached(120, tags=["hall:{hall}"], ignore_cookies=True)
    async def plan(hall: int) -> dict[str, object]:
        return {"hall": hall, "taken": taken[hall]}

    @app.get("/halls")
    @cached(120, tags=["hall:1", "hall:2"], ignore_cookies=True)
    async def halls() -> dict[int, int]:
        return {hall: 100 - len(seats) for hall, seats in taken.items()}

    @app.post("/bookings", status_code=201)
    @invalidates(tags=["hall:{booking_hall}"])
    async def book(booking_hall: int, seat: int) -> dict[str, int]:
        taken[booking_hall].append(seat)
        # Committed; then a letter is sent, which takes a while.
        await world.gate("letter").passed()
        return {"seat": seat}

    return app


async def drive_seats(traffic: Traffic) -> None:
    chance = traffic.chance
    visitors = crowd(chance, 14)
    targets = ["/halls", "/halls/1/seats", "/halls/2/seats"]
    letter = traffic.world.gate("letter")
    for number in range(24):
        await traffic.browse(visitors, targets, 4, gap=0.3)
        letter.close()
        booking = f"/bookings?booking_hall={chance.randrange(1, 3)}&seat={number}"
        change = await traffic.begin(traffic.change("POST", booking, None, chance.choice(visitors)))
        await traffic.browse(visitors, targets, chance.randrange(1, 5), gap=0.3)
        letter.open()
        await change


def moments(world: World):
    """Reads are slow, before and after they ask the database; edits come in between."""
    app = fastapi("Slow")
    values = dict.fromkeys(("left", "right"), 0)

    @app.get("/values/{name}")
    @cached(300, tags=["value:{name}"], ignore_cookies=True)
    async def value(name: str) -> dict[str, object]:
        await world.gate("before").passed()
        read = values[name]
        await world.gate("after").passed()
        return {"name": name, "value": read}

    @app.put("/panel/{name}")
    @invalidates(tags=["value:{name}"])
    async def turn(name: str) -> dict[str, int]:
        values[name] += 1
        return {"value": values[name]}

    return app


async def drive_moments(traffic: Traffic) -> None:
    chance = traffic.chance
    visitors = crowd(chance, 10)
    for number in range(20):
        name = chance.choice(("left", "right"))
        target = f"/values/{name}"
        gate = traffic.world.gate("after" if number % 2 else "before")
        if number % 4 > 1:
            # The edit before has dropped it: the reads below are runs. Else they meet what is kept.
            await traffic.change("PUT", f"/panel/{name}")
        gate.close()
        first = await traffic.begin(traffic.get(chance.choice(visitors), target))
        await traffic.wait(0.05)
        second = await traffic.begin(traffic.get(chance.choice(visitors), target))
        await traffic.change("PUT", f"/panel/{name}")
        third = await traffic.begin(traffic.get(chance.choice(visitors), target))
        await traffic.wait(0.05)
        gate.open()
        for read in (first, second, third):
            await read
        await traffic.browse(visitors, ["/values/left", "/values/right"], 6)


def menu(world: World):
    """The menu changes at full minutes, and each answer says until when it holds."""

    async def today(request: Asked) -> Answer:
        minute, second = divmod(world.now, 60)
        dish = ("soup", "pie", "stew", "fish")[int(minute) % 4]
        holds = f"public, max-age={int(60 - second)}"
        return JSONResponse({"dish": dish, "n": int(minute)}, headers={"cache-control": holds})

    async def quote(request: Asked) -> Answer:
        tenth = int(world.now / 10)
        return JSONResponse({"price": 100 + tenth % 7}, headers={"cache-control": "no-store"})

    return Starlette(
        routes=[Route("/menu", today), Route("/quote", quote), Route("/healthz", healthz)]
    )


async def drive_menu(traffic: Traffic) -> None:
    visitors = crowd(traffic.chance, 12, cookies=False)
    await traffic.browse(visitors, ["/menu", "/menu", "/menu?at=noon", "/quote"], 220, gap=2.5)


def coupons(world: World):
    """What is not there is kept too, until it is made; and what is deleted is gone."""
    app = fastapi("Coupons")
    made: dict[str, int] = {}

    @app.get("/coupons/{code}")
    @cached(300, negative=60, ignore_cookies=True)
    async def coupon(code: str) -> dict[str, object]:
        if code not in made:
            raise HTTPException(404, f"no coupon {code}")
        return {"code": code, "percent": made[code]}

    @app.post("/coupons", status_code=201)
    async def make(code: Text, percent: Annotated[int, Body(embed=True)], response: Response):
        made[code] = percent
        response.headers["location"] = f"/coupons/{code}"
        return {"code": code}

    @app.delete("/coupons/{code}", status_code=204)
    async def remove(code: str) -> None:
        made.pop(code, None)

    return app


async def drive_coupons(traffic: Traffic) -> None:
    chance = traffic.chance
    visitors = crowd(chance, 14)
    for number in range(12):
        codes = [f"c{n}" for n in range(max(0, number - 3), number + 2)]
        await traffic.browse(visitors, [f"/coupons/{code}" for code in codes], 14)
        await traffic.change("POST", "/coupons", {"code": f"c{number}", "percent": 5 + number})
        await traffic.browse(visitors, [f"/coupons/{code}" for code in codes], 3)
        if number % 3 == 2:
            await traffic.change("DELETE", f"/coupons/c{number - 1}")


APPLICATIONS = (
    Application("seats", seats, drive_seats),
    Application("moments", moments, drive_moments),
    Application("menu", menu, drive_menu, rules=(Rule("*", Policy.from_origin()),)),
    Application("coupons", coupons, drive_coupons),
)
