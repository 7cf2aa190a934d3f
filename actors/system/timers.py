"""What the writer's thread does again and again, whatever the event loop does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import attrs

from ..kernel import Handle
from .database import Tick
from .heart import Heart, LookOut, Poll
from .messages import LookAtLeases, LookOutside, StorageMessage
from .notices import Notices
from .server import Server
from .vigil import Vigil
from .writes import TakeOver


@attrs.frozen
class Timers:
    """The timers of one node.

    Attributes:
        server: its place among the nodes of a server; None: it works alone on its file.
        notices: how it hears of what others there do; None: by looking alone.
    """

    node: str
    work: bool
    heart: Heart
    server: Server | None
    storage: Handle[StorageMessage]
    notices: Notices | None = None

    def __iter__(self) -> Iterator[Tick]:
        look: Callable[[], object] = partial(self.storage.hint, LookOutside())
        if self.server is None:
            yield LookOut(look).tick
            yield self.heart.tick
            return
        yield self.server.tick
        yield Poll(look, self._are_heard).tick
        if self.notices is not None:
            yield self.notices.tick
        if self.work:
            self.heart.missed = partial(self.storage.hint, LookAtLeases())
            yield self.heart.tick
            yield Vigil(self.node, self.server.time.read, lambda dead: self.storage.hint(TakeOver(dead))).tick

    def _are_heard(self) -> bool:
        return self.notices is not None and self.notices.are_heard
