"""`actors migrate`: bring the tables up to date, or say what that would take."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ..schema import Upgraded, Versions


@click.command()
@click.option("--database", metavar="URL", help="The database; by default DATABASE_URL, else sqlite:///actors.db.")
@click.option("--check", is_flag=True, help="Say the versions, change nothing; exit with 1 if a migration is due.")
@click.option("--sql", is_flag=True, help="Print the SQL for the URL's kind of database; connect to nothing.")
@click.option("--from", "since", metavar="VERSION", type=int, help="With --sql: from this version, not from nothing.")
def migrate(database: str | None, check: bool, sql: bool, since: int | None) -> None:
    """Bring the tables of a database to this release's version.

    Tables are made if there are none. All of it is done, or nothing. An SQLite file is copied first, and no node may
    work on it meanwhile; a node that starts on an older file does all this by itself. On PostgreSQL run this before
    the nodes of a new release: those of the old one may go on. It waits ten seconds for transactions that hold the
    tables, such as that of a pg_dump, and then gives up; the SQL that --sql prints does the same.

    \b
    Examples:
      actors migrate --check --database sqlite:///tasks.db
      actors migrate --database postgresql://user@host/database
      actors migrate --sql --database postgresql:// > tables.sql

    Exit codes: 0 fine, 1 it failed or (--check) a migration is due, 2 wrong usage.
    """
    from .. import schema

    if check and sql:
        raise click.UsageError("--check and --sql exclude each other")
    if since is not None and not sql:
        raise click.UsageError("--from goes with --sql")
    if sql:
        click.echo(schema.sql(database, since or 0), nl=False)
    elif check:
        sys.exit(_say_versions(schema.check(database)))
    else:
        _say_what_was_done(schema.upgrade(database))


def _say_versions(versions: Versions) -> int:
    found = "no tables" if versions.found is None else f"version {versions.found}"
    if not versions.due:
        click.echo(f"{versions.database}: {found}, which is what this release needs")
        return 0
    click.echo(f"{versions.database}: {found}; this release needs version {versions.newest}: run actors migrate")
    return 1


def _say_what_was_done(done: Upgraded) -> None:
    if done.before is None:
        click.echo(f"{done.database}: made the tables, version {done.after}")
    elif done.before == done.after:
        click.echo(f"{done.database}: version {done.after} already, nothing to do")
    else:
        click.echo(f"{done.database}: brought from version {done.before} to {done.after}")
    if done.copy is not None:
        click.echo(f"The file as it was lies at {done.copy}; delete it when all is well.")
