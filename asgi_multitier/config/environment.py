"""Settings from the environment and from a `.env` file, as text."""

import re
from pathlib import Path

from ..errors import ConfigError

_DOTENV_LINE = re.compile(
    r"\s*(?:export\s+)?(?P<name>REDIS_URL|ASGI_MULTITIER_\w*)\s*=(?P<value>.*)"
)
_DOTENV_VALUE = re.compile(
    r"""\s*(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>[^"'#\s]\S*)?)\s*(?:#.*)?"""
)


def read_dotenv(path: Path) -> dict[str, str]:
    """Our own lines of a `.env` file; others may follow rules of their own and are left alone."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as text: {error}") from None
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        ours = _DOTENV_LINE.fullmatch(line)
        if ours is None:
            continue
        value = _DOTENV_VALUE.fullmatch(ours["value"])
        if value is None:
            raise ConfigError(
                f"{path}, line {number}: the value of {ours['name']} is not allowed; "
                "expected one word, or text in one pair of quotes"
            )
        found[ours["name"]] = value["double"] or value["single"] or value["bare"] or ""
    return found
