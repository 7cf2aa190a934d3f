"""The types that the layers above name; they know no SQLAlchemy."""

from __future__ import annotations

from sqlalchemy import Connection as Connection
from sqlalchemy import Engine as Engine
