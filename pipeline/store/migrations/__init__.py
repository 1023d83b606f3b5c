"""From each layout of the tables to the next. `alembic revision` is told of this folder in CONTRIBUTING.md."""
