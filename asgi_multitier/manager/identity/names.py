"""Names of applications: which tell one from another, and how a name is written.

A title or package that half of all projects have (`main`, `app`, "My API") does not. On a server
that several applications may use it must not become a namespace: the second application would get
the responses of the first one.
"""

import re
from hashlib import blake2b
from socket import gethostname

from .application import Application

_GENERIC = (
    # Names of files, packages and variables in every second project.
    "main app apps application applications api apis asgi wsgi src source sources code package "
    "pkg lib libs module modules server servers service services svc srv backend backends "
    "frontend web website webapp site sites http rest graphql rpc grpc endpoint endpoints route "
    "routes router routers routing view views handler handlers controller controllers core common "
    "shared util utils helper helpers config configs configuration conf setting settings base "
    "init index home root run runner start startup boot bootstrap entry entrypoint manage wsgiapp "
    "create make factory build launch serve serving worker workers process program script scripts "
    "bin cmd cli job jobs task tasks cron daemon host instance node "
    "project projects proj repo workspace work root folder dir tmp temp data db database model "
    "models schema schemas internal external public private admin gateway proxy edge "
    "microservice micro monolith platform system software product prod production staging stage "
    "dev develop development local localhost docker container k deploy deployment release current "
    "latest live build dist out new old first second last final "
    # Names in tutorials.
    "hello world test tests testing testapp example examples sample samples demo demos tutorial "
    "quickstart getting started learn learning todo todos item items user users auth login health "
    "healthcheck status ping foo bar baz untitled title name noname unnamed default none null "
    "template boilerplate skeleton starter kit scaffold poc prototype playground sandbox "
    "the a an my our your this some of for and with in on to by from is it simple basic minimal "
    "small big great awesome cool nice own best ever alpha beta rc nightly preview canary "
    # Names of frameworks and servers.
    "fast fastapi starlette litestar quart sanic flask django falcon blacksheep uvicorn gunicorn "
    "hypercorn granian daphne openapi swagger docs documentation redoc python py async asyncio "
    "asynchronous cache cached caching redis valkey multitier version celery rq arq dramatiq huey "
    "taskiq supervisor ipython jupyter ipykernel launcher interactive shell "
    # What the services of several teams do: "Prediction Service".
    "prediction predictions predict predictor inference infer ml ai llm llms nlp scoring scorer "
    "classifier classification embedding embeddings chat chats chatbot bot bots assistant agent "
    "agents notification notifications notifier mail mailer email emails sms webhook webhooks "
    "callback callbacks upload uploads uploader download downloads file files image images media "
    "storage search event events message messages messaging queue queues scheduler report reports "
    "reporting dashboard metrics monitoring telemetry tracing logging logs crud"
)

_WORD = re.compile(r"[^\W\d_]+")
_RELEASE = re.compile(
    r"\bv?\d+(?:\.\d+)+[\w.+-]*|\b\d{4}-\d\d-\d\d\b|\b(?=[a-f]*\d)[0-9a-f]{7,40}\b"
)
"""A release's number, date or commit in a title: the next release is the same application."""

_LONGEST = 64
_KEPT = 48


def is_telling(text: str) -> bool:
    """Whether a title, or the dotted name of a module, has a word that is not generic."""
    return any(not _is_generic(word) for word in _WORD.findall(text.lower()))


def _is_generic(word: str) -> bool:
    """Whether a word is a generic one, or several of them written as one (`myfastapiapp`)."""
    if len(word) == 1 and word.isascii():
        return True
    # Positions that generic words, one after the other, reach from the beginning.
    reached = {0}
    for start in range(len(word)):
        if start in reached:
            reached |= {start + n for n in _LENGTHS if word[start : start + n] in _WORDS}
    return len(word) in reached


_WORDS = frozenset(word for word in _GENERIC.split() if len(word) > 1)
_LENGTHS = frozenset(map(len, _WORDS))


def name_of_its_own(application: Application) -> str | None:
    """The name of an application that tells it from others; None if it has none.

    Made of its title and its package, without those that are generic. Without a title, two modules
    of a package are two applications.
    """
    title = " ".join(_RELEASE.sub(" ", application.title).split())
    module = application.module if is_telling(application.module) else ""
    if is_telling(title):
        package = next(filter(is_telling, module.split(".")), "")
        return _written(f"{title}-{package}" if package else title)
    if not module and not is_telling(application.attribute):
        return None
    # `public` and `internal` of one module are two applications, generic as they are.
    own = application.attribute if application.attribute != "app" else ""
    return _written(".".join(filter(None, (application.module, own))))


def local_name(application: Application, *, machine: bool = False) -> str:
    """A name for an application that shares with processes of this machine only.

    It contains the application's directory.

    Args:
        application: What it shows of itself.
        machine: Whether it must differ from names on other machines, and contains this one's name.
    """
    text = name_of_its_own(application) or application.module.rpartition(".")[2] or "app"
    host = gethostname() if machine else ""
    place = "\0".join((host, application.directory, application.module, application.attribute))
    return f"{_written(text)[:_KEPT]}-{_digest(place)}"


def _written(text: str) -> str:
    """The text in characters that a key may contain; different texts stay different."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-")
    if plain == text and len(plain) <= _LONGEST:
        return plain
    return f"{plain[:_KEPT] or 'app'}-{_digest(text)}"


def _digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=5).hexdigest()
