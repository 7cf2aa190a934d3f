"""The actors: thin shells around the rules, the store and execution."""
