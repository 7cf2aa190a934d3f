"""How many tasks the programs submit; their tests count on it."""

from __future__ import annotations

STAGED = 20
INNOCENT = 12
