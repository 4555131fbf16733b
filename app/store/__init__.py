"""The only SQL and the only ORM: one query module a domain."""
