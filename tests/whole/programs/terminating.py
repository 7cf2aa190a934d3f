"""How a service as a user writes one is stopped: by SIGTERM in order, and by a second one at once."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import trio

from actors import TaskSystem
from actors.system import storage, transaction
from tests.whole.programs.telling import say


async def stop_on_sigterm(app: TaskSystem, grace: float, task_status: trio.TaskStatus[None]) -> None:
    """The first SIGTERM stops the service within *grace* seconds, any other ends these."""
    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            say("stopping", time.monotonic())
            app.stop(grace=grace)
            grace = 0.0


def terminate_in_mid_claim() -> None:
    """Have this process get its SIGTERM while a claim is being committed."""
    real = transaction.run

    def run(done: Any, *args: Any, **kwargs: Any) -> Any:
        answers = real(done, *args, **kwargs)
        if done.claimed:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.1)  # the transaction takes that long: the signal is handled meanwhile
        return answers

    vars(storage)["run"] = run
