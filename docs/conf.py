"""How the documentation is built: `sphinx-build -W -n docs build/docs`. It asks nothing of the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import actors

if TYPE_CHECKING:
    from docutils.nodes import Element, TextElement
    from sphinx.addnodes import pending_xref
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

project = "actors"
author = "the authors of actors"
version = release = actors.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"actors {release}"
html_copy_source = False
html_show_copyright = False

myst_heading_anchors = 3

default_role = "py:obj"  # single backticks in docstrings: a link where the name is one of ours, else code
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100
napoleon_numpy_docstring = False

# A broken link fails the build. What is documented elsewhere, or stands in signatures alone, is no link.
nitpick_ignore_regex = [
    ("py:obj", r"(?s).+"),
    ("py:class", r"(trio|datetime|collections|contextlib|contextvars|logging|types|typing)\..+"),
    ("py:class", r"(actors\.[\w.]+\.)?(P(\.k?w?args)?|R|T|Unset|Decorator|Errors|\w+Hook)"),
    (
        "py:class",
        r"(float|int|str|bool|object|None|function|optional|Callable|Mapping|datetime|timedelta)",
    ),
    ("py:class", r"(Connection|Session|scoped_session|Payloads|AbstractAsyncContextManager)"),
    (
        "py:class",
        r"actors\.(declare\.HandlerOptions|declared\.TaskDecorator|execution\.until\.(UntilStopping|AsyncioScope))",
    ),
]

PUBLIC = ("actors", "actors.errors", "actors.testing")
"""The modules under whose names the reference documents things, wherever they are defined."""


def resolve_public(app: Sphinx, env: BuildEnvironment, node: pending_xref, shown: TextElement) -> Element | None:
    """Find `core.task.Task`, or a bare `Task` of another module's docstring, where the reference has it."""
    if node.get("refdomain") != "py":
        return None
    name = node["reftarget"].rpartition(".")[2]
    domain = env.domains.python_domain
    for module in PUBLIC:
        if f"{module}.{name}" in domain.objects:
            return domain.resolve_xref(
                env, node["refdoc"], app.builder, node["reftype"], f"{module}.{name}", node, shown
            )
    return None


def keep_whole(_: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Let napoleon take no property's first sentence for `type: description`, which an empty comment prevents."""
    if what == "property":
        lines[:0] = ["..", ""]


def setup(app: Sphinx) -> None:
    """What the generator calls."""
    app.connect("autodoc-process-docstring", keep_whole, priority=400)  # napoleon has 500
    app.connect("missing-reference", resolve_public)
