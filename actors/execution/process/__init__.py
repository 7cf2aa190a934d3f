"""Handlers in child processes: the node's side, the child's side, and what travels between them."""
