"""What is shown of texts that come from requests: their kind, not their values."""


def redacted(text: str) -> str:
    """A tag, a name or a path without its values: what stands before the first `:`, and a star.

    A text without `:` is the application's own word as often as a value, so none of it is shown.
    """
    head, colon, _ = text.partition(":")
    return f"{head}:*" if colon else "*"
