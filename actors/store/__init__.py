"""The SQL: plain functions `op(connection, …)`. They begin and end no transaction."""
