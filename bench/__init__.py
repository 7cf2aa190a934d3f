"""What the task system costs, measured: ``python -m bench``.

A workload is a module `bench.<name>`, listed in `bench.runner.WORKLOADS`, with

``run(scale: float = 1.0) -> dict[str, float]``
    does the work and returns figures. A figure's name ends in its unit: ``_per_second``, ``_seconds``, ``_ms``,
    ``_us``, ``_kb``, ``_mb``, ``_percent``; what was measured may follow ``_per_second``. Without one it is a plain
    number.
    *scale* in (0, 1] shrinks the work for a smoke run.

``GOALS: dict[str, Goal]`` (optional)
    says what a figure should reach, or which figure it is to be compared with; see `bench.goals.Goal`.

Each workload runs in a process of its own, with an empty temporary folder that is removed afterwards. Machines
differ and are noisy, so what matters is measured as a ratio to the bare database within the same run: `bench.floor`.
"""
