"""What Alembic runs to migrate. The connection comes in a transaction that the caller ends; offline there is none."""

from __future__ import annotations

from alembic import context

from actors.store import schema

if context.is_offline_mode():
    context.configure(
        dialect_name=context.config.attributes["dialect"],
        version_table=schema.version.name,
        literal_binds=True,
        dialect_opts={"paramstyle": "named"},
        transactional_ddl=True,
    )
else:
    context.configure(connection=context.config.attributes["connection"], version_table=schema.version.name)

with context.begin_transaction():
    for statement in context.config.attributes.get("first", ()):  # a script's; online the caller has seen to it
        context.execute(statement)
    context.run_migrations()
