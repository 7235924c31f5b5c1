"""All that sees ASGI messages."""
