"""Functions of SQL that the databases spell differently, or that one of them does not have."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Integer
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.types import NullType


class octets(GenericFunction[int]):  # named like the other functions of SQL
    """The length of a text in bytes."""

    type = Integer()
    inherit_cache = True


@compiles(octets)
def _octets(element: octets, compiler: Any, **kw: Any) -> str:
    return f"octet_length({compiler.process(element.clauses, **kw)})"


@compiles(octets, "sqlite")
def _octets_sqlite(element: octets, compiler: Any, **kw: Any) -> str:
    return f"length(CAST({compiler.process(element.clauses, **kw)} AS BLOB))"  # octet_length is new in SQLite 3.43


class by_key(GenericFunction[Any]):
    """A condition on rows that are known by their keys, and of which PostgreSQL's planner is to make nothing.

    It would believe its statistics that hardly a row meets it, and begin with those: all that runs, for each row.
    """

    type = NullType()  # SQLite has no Boolean, and would be told to compare it with 1
    inherit_cache = True


@compiles(by_key)
def _by_key(element: by_key, compiler: Any, **kw: Any) -> str:
    return f"CASE WHEN {compiler.process(element.clauses, **kw)} THEN true ELSE false END"


@compiles(by_key, "sqlite")
def _by_key_sqlite(element: by_key, compiler: Any, **kw: Any) -> str:
    return str(compiler.process(element.clauses, **kw))
