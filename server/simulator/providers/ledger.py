"""What the simulated providers have accepted: exact, and kept in a file that outlives them.

A line is written before the answer is given, to the system, which keeps it though the process be killed.
"""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import orjson


class Ledger:
    """How often each address was sent to, by provider; with the key of each send, where it can be told.

    For one event loop: what is counted and written in one step cannot be interrupted.
    """

    def __init__(self, path: Path) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        path.parent.mkdir(parents=True, exist_ok=True)
        for provider, address, _key in self._written(path):
            self._counts[provider, address] += 1
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    @staticmethod
    def _written(path: Path) -> Iterator[tuple[str, str, str]]:
        if path.exists():
            with path.open("rb") as lines:
                yield from (tuple(orjson.loads(line)) for line in lines if line.endswith(b"\n"))

    def accept(self, provider: str, address: str, key: str) -> None:
        """Count a message that was taken."""
        os.write(self._file, orjson.dumps([provider, address, key]) + b"\n")
        self._counts[provider, address] += 1

    @property
    def total(self) -> int:
        """How many messages were taken."""
        return self._counts.total()

    def lines(self) -> Iterator[bytes]:
        """Provider, address and count, a JSON object a line."""
        for (provider, address), count in list(self._counts.items()):
            yield orjson.dumps({"provider": provider, "address": address, "count": count}) + b"\n"

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
