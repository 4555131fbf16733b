"""A real PostgreSQL, started from a wheel and owned by the process that needs it."""
