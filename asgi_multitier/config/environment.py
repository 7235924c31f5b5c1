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
    """The settings of this package in a `.env` file; other lines are ignored.

    Raises:
        ConfigError: If the file cannot be read as text, or a value is not allowed.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as text: {error}") from None
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        setting = _DOTENV_LINE.fullmatch(line)
        if setting is None:
            continue
        value = _DOTENV_VALUE.fullmatch(setting["value"])
        if value is None:
            raise ConfigError(
                f"{path}, line {number}: the value of {setting['name']} is not allowed; "
                "expected one word, or text in one pair of quotes"
            )
        found[setting["name"]] = value["double"] or value["single"] or value["bare"] or ""
    return found
