"""The ways to run a handler, and one contract for stopping it."""
