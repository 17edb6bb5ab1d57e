"""Shows what is being done and how long it took: with a spinner on a terminal, as plain lines elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

Say = Callable[[str], None]


class Steps:
    """The steps of a command, told on `console`."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def tell(self, text: str) -> None:
        """One line, as it is: not wrapped, so that addresses stay whole."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def step(self, title: str) -> Iterator[Say]:
        """Show `title` while the block works, and how long it took when it is done.

        Yields:
            A function that shows what the block is at.
        """
        begun = time.monotonic()
        with self._showing(title) as say:
            yield say
        self.tell(f"  {title:<44}{time.monotonic() - begun:5.1f} s")

    @contextmanager
    def _showing(self, title: str) -> Iterator[Say]:
        if not self._console.is_terminal:
            yield _nothing
            return
        with self._console.status(title) as status:
            yield lambda detail: status.update(f"{title}: {detail}")


def _nothing(_: str) -> None:
    """A line for each step is enough where nobody watches."""
