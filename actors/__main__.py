"""`python -m actors`."""

from __future__ import annotations

from .cli import main

main()
