"""TaskSystem: run; `declaring.py` has what declares, `submitting.py` what submits, `desk.py` what looks and steers.

Nothing here imports trio or SQLAlchemy before it runs: modules with handlers are imported in places that need neither.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from .core import options
from .core.errors import InvalidOption, NotRunning, SystemFailed
from .declaring import DeclareDesk
from .execution.process.importing import refuse_while_importing
from .settings import Settings

if TYPE_CHECKING:
    import trio

    from .system.plan import Plan


class TaskSystem(DeclareDesk):
    """Task types, and a database in which their tasks are kept.

    Args:
        database_url: `sqlite:///file.db`, or `sqlite:///:memory:` for tests; by default the settings', which is
            `DATABASE_URL`, else `sqlite:///actors.db`.
        settings: by default those of the environment.

    Raises:
        InvalidOption: a setting cannot work.
    """

    def __init__(self, database_url: str | None = None, *, settings: Settings | None = None) -> None:
        super().__init__(settings or Settings.from_environment())
        self._url = database_url or self.settings.database_url
        self._stop: trio.Event | None = None

    @property
    def database_url(self) -> str:
        """Where tasks are stored; a password may be in it, so that it is not for showing."""
        return self._url

    @asynccontextmanager
    async def running(
        self, work: bool = True, database_url: str | None = None, *, create: bool = True
    ) -> AsyncIterator[TaskSystem]:
        """Run the task system while the block runs, and stop it in order on leaving.

        Leaving takes at most the grace time and 5 seconds. The block's exception leaves as it is.

        Args:
            work: False for a node that only submits, looks and steers.
            database_url: another database, for tests.
            create: False to be refused, with InvalidOption or SchemaMismatch, where there is no database yet.

        Raises:
            DatabaseInUse, SchemaMismatch, StorageUnavailable, InvalidOption: it could not start.
            HandlerNotImportable: a new process cannot import a handler of mode "process"; or this is such a process,
                and the module of its handlers is not guarded by `if __name__ == "__main__":`.
            SystemFailed: a fault that restarts did not cure, or a resource that could not be opened or has failed.
        """
        refuse_while_importing()
        from .kernel import TreeFailed
        from .system import supervisor

        if self._entered:
            raise InvalidOption("this task system runs already; one TaskSystem is one node")
        self._entered = True
        try:
            async with supervisor.running(self._plan(database_url or self._url, work=work, create=create)) as node:
                self._node = node
                yield self
        except TreeFailed as failure:
            raise SystemFailed(f"the task system has failed: {failure}") from (failure.__cause__ or failure)
        finally:
            self._node = self._stop = None
            self._entered = False

    async def serve(
        self,
        *,
        work: bool = True,
        database_url: str | None = None,
        task_status: trio.TaskStatus[TaskSystem] | None = None,
    ) -> None:
        """Run until `stop`: `await nursery.start(app.serve)`. See `running`."""
        import trio

        async with self.running(work=work, database_url=database_url):
            self._stop = trio.Event()
            if task_status is not None:
                task_status.started(self)
            await self._stop.wait()

    def stop(self, grace: float | None = None) -> None:
        """End `serve`; *grace* seconds (by default the setting's) are left to what runs. A second call ends those."""
        node = self.running_node
        if grace is not None:
            node.grace = options.seconds("grace", grace, least=0)
        if self._stop is None:
            raise NotRunning("stop() ends serve(); leave the block of running() to end that")
        if self._stop.is_set():
            node.running.hurry.set()
        self._stop.set()

    def _plan(self, url: str, *, work: bool, create: bool) -> Plan:
        from .system.plan import Plan

        settings = self.settings
        return Plan(
            url=url,
            work=work,
            create=create,
            handlers=self._registry.handlers(),
            lanes=self._registry.lanes(),
            calls_per_child=settings.max_tasks_per_child,
            prepare=self._registry.row,
            callbacks=self._callbacks,
            hooks=self._registry.hooks.attempts,
            carried=self._registry.carried,
            resources=self._registry.resources if work else {},
            memory_limit=settings.memory_limit_mb,
            aging=settings.aging_seconds,
            grace=settings.grace_seconds,
            lease=settings.lease_seconds,
            notifications=settings.notifications,
            retention=settings.retention,
        )
