"""Writes the board and the rules into this folder."""

from pathlib import Path

from . import board, rules

HERE = Path(__file__).parent

FILES = {HERE / "asgi-multitier.json": board.written, HERE / "alerts.yml": rules.written}

if __name__ == "__main__":
    for path, written in FILES.items():
        path.write_text(written())
