"""What child processes are given beside their handlers: plain resources, and the context variables that travel."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import attrs

from ..carried import Carried
from ..resources import Factory
from .child_resources import pack_resources
from .child_variables import locate_variables
from .location import Location


@attrs.frozen
class Outfit:
    """The same for all children of a node.

    Attributes:
        resources: as `ChildResources` takes them.
        variables: the ways to them.
    """

    resources: Mapping[str, Any] = attrs.field(factory=lambda: pack_resources({}))
    variables: Sequence[Location] = ()

    @classmethod
    def of(cls, factories: Mapping[str, Factory], carried: Carried, imported: Collection[str]) -> Outfit:
        """What a node declares; *imported* are the modules of its handlers.

        Raises:
            InvalidOption: no child could find a variable that travels.
        """
        return cls(pack_resources(factories), locate_variables(carried, imported))

    def packed(self) -> dict[str, Any]:
        """For a child's preparation."""
        return {"resources": self.resources, "variables": [attrs.astuple(way) for way in self.variables]}
