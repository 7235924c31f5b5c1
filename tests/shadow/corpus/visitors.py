"""Clients as they are met in logs: the field lines of browsers, telephones, programs and robots."""

from dataclasses import dataclass, field
from random import Random

Lines = list[tuple[str, str]]

_CHROME = (
    "Mozilla/5.0 ({0}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{1}.0.0.0{2} Safari/537.36"
)
_IOS = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_{0} like Mac OS X) AppleWebKit/605.1.15"
    " (KHTML, like Gecko) Version/18.{0} Mobile/15E148 Safari/604.1"
)
_MAC_SAFARI = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15"
    " (KHTML, like Gecko) Version/18.{0} Safari/605.1.15"
)
_FIREFOX = "Mozilla/5.0 ({0}; rv:{1}.0) Gecko/20100101 Firefox/{1}.0"
_WINDOWS = "Windows NT 10.0; Win64; x64"

_ANY_IMAGE = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
_PLAIN = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def _hints(version: int, mobile: bool, platform: str) -> Lines:
    brands = f'"Chromium";v="{version}", "Google Chrome";v="{version}", "Not.A/Brand";v="99"'
    return [
        ("sec-ch-ua", brands),
        ("sec-ch-ua-mobile", "?1" if mobile else "?0"),
        ("sec-ch-ua-platform", f'"{platform}"'),
    ]


@dataclass(frozen=True)
class Agent:
    """A browser or a program.

    Attributes:
        name: What it calls itself.
        accept: What it accepts for a page.
        hints: Further field lines that it sends each time.
        fetches: Whether it sends `Sec-Fetch-*`, as browsers do.
        codings: What it accepts as codings.
    """

    name: str
    accept: str = "*/*"
    hints: tuple[tuple[str, str], ...] = ()
    fetches: bool = True
    codings: str = "gzip, deflate, br, zstd"


def _chrome(version: int, platform: str, system: str, *, mobile: bool = False) -> Agent:
    name = _CHROME.format(system, version, " Mobile" if mobile else "")
    return Agent(name, _ANY_IMAGE, tuple(_hints(version, mobile, platform)))


AGENTS = (
    _chrome(139, "Windows", _WINDOWS),
    _chrome(140, "Windows", _WINDOWS),
    _chrome(140, "macOS", "Macintosh; Intel Mac OS X 10_15_7"),
    _chrome(140, "Linux", "X11; Linux x86_64"),
    _chrome(139, "Android", "Linux; Android 10; K", mobile=True),
    _chrome(140, "Android", "Linux; Android 10; K", mobile=True),
    Agent(_IOS.format(5), _PLAIN, codings="gzip, deflate, br"),
    Agent(_IOS.format(6), _PLAIN, codings="gzip, deflate, br"),
    Agent(_MAC_SAFARI.format(5), _PLAIN, codings="gzip, deflate, br"),
    Agent(_FIREFOX.format(_WINDOWS, 142), _PLAIN),
    Agent(_FIREFOX.format("X11; Linux x86_64", 142), _PLAIN),
    Agent(_FIREFOX.format("Android 15; Mobile", 142), _PLAIN),
)
"""Browsers: Firefox and Safari send no hints, on telephones neither."""

APPS = (
    Agent("Shop/7.4.1 (iPhone15,2; iOS 18.5)", "application/json", fetches=False),
    Agent("Shop/7.5.0 (iPhone16,1; iOS 18.6)", "application/json", fetches=False),
    Agent("okhttp/4.12.0", "application/json", fetches=False, codings="gzip"),
    Agent("Dart/3.5 (dart:io)", "application/json", fetches=False, codings="gzip"),
)
"""Programs on telephones."""

PROGRAMS = (
    Agent("python-requests/2.32.3", fetches=False, codings="gzip, deflate"),
    Agent("python-httpx/0.28.1", fetches=False, codings="gzip, deflate"),
    Agent("axios/1.7.9", "application/json, text/plain, */*", fetches=False, codings="gzip, br"),
    Agent("Go-http-client/2.0", "application/json", fetches=False, codings="gzip"),
    Agent("curl/8.9.1", fetches=False, codings="gzip"),
)
"""Programs of partners."""

LANGUAGES = (
    "en-US,en;q=0.9",
    "en-GB,en;q=0.9,en-US;q=0.8",
    "de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7",
    "de,en-US;q=0.7,en;q=0.3",
    "de-AT,de;q=0.9,en;q=0.8",
    "fr-FR,fr;q=0.9,en-US;q=0.8,en;q=0.7",
    "fr,fr-FR;q=0.8,en-US;q=0.5,en;q=0.3",
    "es-ES,es;q=0.9,en;q=0.8",
)

PROBE = [("host", "shop.example"), ("user-agent", "kube-probe/1.31"), ("accept", "*/*")]
"""A load balancer asks whether the process lives."""

ROBOT = [
    ("host", "shop.example"),
    ("user-agent", "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"),
    ("accept", _PLAIN),
    ("accept-encoding", "gzip, deflate, br"),
    ("from", "googlebot(at)googlebot.com"),
]


@dataclass
class Visitor:
    """One person or program, over all visits.

    Attributes:
        number: Which one.
        agent: With what it asks.
        language: Its `Accept-Language`; "" for none.
        address: From where it asks.
        fields: Further fields that it sends.
        cookies: Cookies of the application.
        analytics: Cookies of analytics; None where it sends none.
        pages: Whether it opens pages; else it fetches data.
        kept: Answers with their validators, by target.
    """

    number: int
    agent: Agent
    language: str
    address: str
    fields: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)
    analytics: dict[str, str] | None = None
    pages: bool = False
    kept: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)

    def begin_visit(self, chance: Random, now: float) -> None:
        """Open the site again: what analytics count by the visit is set to something else."""
        if self.analytics is None:
            return
        stamp = int(now) + chance.randrange(10)
        self.analytics["_ga_9XK2L7"] = f"GS2.1.s{stamp}$o{chance.randrange(1, 30)}$g1"
        self.analytics["_hjSession_3311"] = f"{chance.getrandbits(64):x}"
        if chance.random() < 0.5:
            self.analytics["_gid"] = f"GA1.2.{chance.randrange(10**9)}.{stamp}"

    def lines(self, host: str, chance: Random) -> Lines:
        """The field lines of its next request, without what proxies add."""
        agent = self.agent
        lines = [("host", host), ("connection", "keep-alive"), *agent.hints]
        lines.append(("user-agent", agent.name))
        given = {name.lower() for name in self.fields}
        if "accept" not in given:
            lines.append(("accept", agent.accept if self.pages else "application/json, */*;q=0.5"))
        if agent.fetches:
            lines += [
                ("sec-fetch-site", "same-origin" if chance.random() < 0.7 else "same-site"),
                ("sec-fetch-mode", "navigate" if self.pages else "cors"),
                ("sec-fetch-dest", "document" if self.pages else "empty"),
                ("referer", f"https://{host}/{chance.choice(('', 'search', 'home', 'sale'))}"),
            ]
        lines.append(("accept-encoding", agent.codings))
        if self.language and "accept-language" not in given:
            lines.append(("accept-language", self.language))
        if agent.fetches and chance.random() < 0.5:
            lines.append(("priority", "u=0, i" if self.pages else "u=1, i"))
        lines += self.fields.items()
        cookies = {**(self.analytics or {}), **self.cookies}
        if cookies:
            lines.append(("cookie", "; ".join(f"{k}={v}" for k, v in cookies.items())))
        return lines


def crowd(
    chance: Random,
    count: int,
    *,
    agents: tuple[Agent, ...] = AGENTS,
    cookies: bool = True,
    pages: bool = False,
) -> list[Visitor]:
    """So many visitors; several have the same agent, the same language, even the same address.

    Args:
        chance: Chooses.
        count: How many.
        agents: What they ask with.
        cookies: Whether they have cookies of analytics.
        pages: Whether they open pages.
    """
    made = []
    for number in range(count):
        agent = chance.choice(agents)
        # Offices and mobile networks send many people from one address.
        place = chance.randrange(count * 2 // 3 + 1)
        visitor = Visitor(
            number,
            agent,
            chance.choice(LANGUAGES) if agent.fetches else "",
            f"{(81, 93, 203)[place % 3]}.{17 + place % 7}.{place}.{9 + place}",
            pages=pages,
        )
        if cookies:
            visitor.analytics = {
                "_ga": f"GA1.1.{chance.randrange(10**9)}.{1_760_000_000 + number}",
                "_fbp": f"fb.1.{1_760_000_000_000 + number}.{chance.randrange(10**17)}",
                "cookieconsent_status": chance.choice(("allow", "allow", "deny")),
            }
            visitor.begin_visit(chance, 0.0)
        made.append(visitor)
    return made
