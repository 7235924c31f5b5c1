"""Bearer tokens that a user gives (RFC 6750)."""

from ..errors import ConfigError

SHORTEST_TOKEN = 32
"""Characters of the shortest token: a shorter one may be guessed."""


def credentials_of(token: object, where: str, option: str = "token") -> bytes | None:
    """What the `Authorization` field of a request has to be (RFC 6750 §2.1); None for no token.

    Args:
        token: The token; None for none.
        where: What it is for, for the message.
        option: The option's name.

    Raises:
        ConfigError: If the token is too short, or is not of visible ASCII characters.
    """
    if token is None:
        return None
    if not isinstance(token, str):
        shown, fits = f"a {type(token).__name__}", False
    else:
        # The token itself is in no message.
        shown = f"a text of {len(token)} characters"
        fits = len(token) >= SHORTEST_TOKEN and all("!" <= char <= "~" for char in token)
    if not isinstance(token, str) or not fits:
        allowed = (
            f"at least {SHORTEST_TOKEN} visible ASCII characters, as secrets.token_urlsafe() gives,"
            " or None"
        )
        raise ConfigError(f"{where}: {option}= is {shown}; expected {allowed}")
    return b"Bearer " + token.encode()
