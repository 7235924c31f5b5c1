"""Reports as they come of real traffic, made by hand."""

from asgi_multitier.shadow import Cause, Finding, Report, RouteReport

FIELD = Finding(
    cause=Cause.FIELD,
    name="accept-currency",
    others=(("cookie", "currency"),),
    wrong=12,
    confidence=0.98,
    place="$.price",
    remedy="Answers differ by a request field that is not in the key: name it in vary=",
    annotation='@cached(60, vary=["accept-currency"])',
)
EDIT = Finding(
    cause=Cause.EDIT,
    name="PUT /prices/{id}",
    wrong=3,
    confidence=0.8,
    place="$.price",
    remedy="This mutation changes the answer and drops nothing: give both the same tag",
    annotation='@invalidates(tags=["price:{id}"])',
)
RANDOM = Finding(
    cause=Cause.RANDOM,
    confidence=1.0,
    wrong=7,
    place="$.token",
    remedy="It is never the same: do not cache it",
    annotation="@no_cache",
)

PRICES = RouteReport(
    route="GET /prices/{id}",
    requests=120,
    hits=90,
    origin_seconds=24.5,
    saved_seconds=18.25,
    saved_bytes=90_000,
    memory=30_000,
    wrong=15,
    aged=2,
    findings=(FIELD, EDIT),
    lifetime=60.0,
    annotation='@cached(60, tags=["price:{id}"], vary=["accept-currency"])',
    share=0.5,
    would={"hit": 90, "miss": 30},
)
TOKENS = RouteReport(
    route="GET /token",
    requests=10,
    hits=9,
    origin_seconds=0.1,
    saved_seconds=0.09,
    saved_bytes=900,
    memory=1_000,
    wrong=7,
    findings=(RANDOM,),
    annotation="@no_cache",
)
RIGHT = RouteReport(
    route="GET /products/{id}",
    requests=50,
    hits=40,
    origin_seconds=5.0,
    saved_seconds=4.0,
    saved_bytes=40_000,
    memory=10_000,
    lifetime=300.0,
    annotation='@cached(300, tags=["product:{id}"])',
    would={"hit": 40, "set-cookie": 10},
)
UNRULED = RouteReport(
    route="GET /books",
    rule=False,
    requests=200,
    origin_seconds=40.0,
    memory=5_000,
    lifetime=300.0,
    annotation='@cached(300, tags=["book"])',
    why="Answers stay the same for 400 s at least: 5 min fits",
    possible_hits=180,
    possible_seconds=36.0,
    would={"no-rule": 200},
)

REPORT = Report(routes=(PRICES, TOKENS, RIGHT))
