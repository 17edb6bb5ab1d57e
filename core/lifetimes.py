"""Something that ends, such as a websocket, and what must be done then."""

from collections.abc import Awaitable, Callable, Hashable

import structlog

from core.ids import new_id

log = structlog.get_logger(__name__)
Undo = Callable[[], Awaitable[None]]
MOST = 50


class Lifetime:
    """From the begin of something to its end.

    Attributes:
        id: tells it from others, in all processes.
        ended: whether it is over.
    """

    def __init__(self) -> None:
        self.id = str(new_id())
        self.ended = False
        self._undos: dict[Hashable, Undo] = {}

    async def keep(self, key: Hashable, undo: Undo) -> None:
        """Do `undo` at the end, instead of what stood under this key; at once when the end has come.

        At most 50 stand at a time; of more the oldest is done early.
        """
        self._undos.pop(key, None)
        self._undos[key] = undo
        if self.ended:
            await self.end()
        elif len(self._undos) > MOST:
            await self._do(next(iter(self._undos)))

    def forget(self, key: Hashable) -> None:
        """Nothing has to be undone under this key any more."""
        self._undos.pop(key, None)

    async def end(self) -> None:
        """Undo everything. What goes wrong with one keeps none of the others."""
        self.ended = True
        for key in list(self._undos):
            await self._do(key)

    async def _do(self, key: Hashable) -> None:
        try:
            if undo := self._undos.pop(key, None):
                await undo()
        except Exception:
            log.exception("not undone")
