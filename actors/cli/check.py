"""`actors check`: whether settings, application and database will do."""

from __future__ import annotations

import os

import click

from ..core.printable import plain
from . import json_text
from .findings import BAD, application_finding, database_findings, default_url, settings_findings
from .loading import app_name as named
from .opening import look_options
from .terminal import say


@click.command()
@click.argument("app_name", metavar="[MODULE:APP]", type=named, required=False)
@look_options
def check(app_name: tuple[str, str] | None, database: str | None, as_json: bool) -> None:
    """Check settings, application and database.

    The settings are those in the environment; every bad variable is named. The database has to be there, to answer,
    to take writes, and to have tables of this version; then it is told who works on it, and which tasks wait for a
    type that neither MODULE:APP nor a live node declares. Nothing is made or changed.

    \b
    Examples:
      actors check
      actors check service.tasks:app
      actors check service.tasks:app --database sqlite:///tasks.db --json

    Exit code 1 if something is bad.
    """
    findings = list(settings_findings(os.environ))
    app = None
    if app_name is not None:
        app, finding = application_finding(app_name)
        findings.append(finding)
    findings += database_findings(database or default_url(app), None if app is None else app.task_types)
    if as_json:
        say(json_text.array(findings))
    else:
        say("\n".join(f"{finding.verdict:<5} {finding.subject:<9} {plain(finding.text)}" for finding in findings))
    if any(finding.verdict == BAD for finding in findings):
        raise click.exceptions.Exit(1)
