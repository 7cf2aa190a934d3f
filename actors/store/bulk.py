"""Batches on PostgreSQL: one statement for all rows, to which each of their columns goes as an array."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs
from sqlalchemy import BindParameter, Insert, String, TableValuedAlias, Text, bindparam, column, func, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql.visitors import replacement_traverse

PLACE: Final = "nth"
NUMBERS: Final = (int, float)
NUL: Final = "\0"
"""What no text of the server's can have."""
LARGEST: Final = 1 << 26
"""Characters of a statement's parameters. The server takes up to a gigabyte, and needs a multiple of that meanwhile."""


@attrs.frozen
class Batch:
    """A statement for one row, made over into one for many.

    Attributes:
        constants: what the statement itself supplies, by its bind names.
        names: of the binds that each row has a value for, in the order of a row.
        order: all of them in the order in which *sql* takes them.
    """

    sql: str
    constants: Mapping[str, Any]
    names: Sequence[str]
    order: Sequence[str]

    def parameters(self, rows: Sequence[Sequence[Any]]) -> list[Any]:
        """What runs it for *rows*, of which there is at least one."""
        arrays = dict(zip(self.names, map(array, zip(*rows, strict=True)), strict=True))
        return [arrays[name] if name in arrays else self.constants[name] for name in self.order]


def made_over(statement: Any, names: Sequence[str], known: Sequence[str] = (), *, returning: bool) -> Batch:
    """*statement* for a batch of rows, whose values for *names* stand in the place of its binds.

    An UPDATE or DELETE finds its rows by `unnest(…)` in its FROM, and so comes to them in the order of the batch: there
    are far fewer of those than of the table's, whose index is then looked into for each of them.

    Args:
        statement: an UPDATE or DELETE, or an INSERT without its values, of which *names* are the columns.
        known: of an INSERT, a column that tells its rows apart, and what else is to be known of those that took.
        returning: have it return which rows took: *known*, or else the place in the batch, from 1 on.
    """
    dialect: Any = postgresql.psycopg.dialect(paramstyle="format")  # type: ignore[no-untyped-call]  # SQLAlchemy's own
    given = _given(statement, names, dialect, numbered=returning and not known)
    if isinstance(statement, Insert):
        whole: Any = statement.from_select(list(names), select(*(given.c[name] for name in names)))
    else:
        wanted = frozenset(names)

        def column_of(element: Any, **_: Any) -> Any:
            return given.c[element.key] if isinstance(element, BindParameter) and element.key in wanted else None

        whole = replacement_traverse(statement, {}, column_of)
    if returning:
        whole = whole.returning(*(statement.table.c[name] for name in known) if known else (given.c[PLACE],))
    compiled = whole.compile(dialect=dialect)
    return Batch(str(compiled), compiled.params, names, compiled.positiontup)


def _given(statement: Any, names: Sequence[str], dialect: Any, *, numbered: bool) -> TableValuedAlias:
    """The batch as a table, its columns of the types that *statement* compares them with, or stores them in."""
    binds = statement.compile(dialect=dialect, column_keys=list(names)).binds
    types = [binds[name].type for name in names]
    # A cast to VARCHAR(36) would cut off what the column refuses.
    types = [Text() if isinstance(kind, String) else kind for kind in types]
    arrays = [bindparam(name, type_=postgresql.ARRAY(kind)) for name, kind in zip(names, types, strict=True)]
    columns = [column(name, kind) for name, kind in zip(names, types, strict=True)]
    ordinality = PLACE if numbered else None
    return func.unnest(*arrays).table_valued(*columns, with_ordinality=ordinality).render_derived(name="given")


def too_large(parameters: Sequence[Any]) -> bool:
    """Whether it is better to run a batch in two halves than with these *parameters*."""
    return sum(len(value) for value in parameters if isinstance(value, str)) > LARGEST


def array(values: Sequence[Any]) -> str:
    """*values* as the server reads an array. The driver writes one too, and takes many times as long for it.

    Raises:
        TypeError: one of them is neither None nor a text or a number.
    """
    if values.count(values[0]) == len(values):  # as are most columns of most batches
        return "{" + ",".join([_element(values[0])] * len(values)) + "}"
    kinds = set(map(type, values))
    if kinds == {str} and (together := NUL.join(values)).count(NUL) == len(values) - 1:
        return '{"' + _escaped(together).replace(NUL, '","') + '"}'
    return "{" + ",".join(map(repr if kinds.issubset(NUMBERS) else _element, values)) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _element(value: Any) -> str:
    if isinstance(value, str):
        return f'"{_escaped(value)}"'
    if value is None:
        return "NULL"
    if isinstance(value, NUMBERS):
        return repr(value)
    raise TypeError(f"a row of a batch has a {type(value).__name__}; it should have texts and numbers")
