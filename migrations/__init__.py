"""Tortoise migrations, applied in order by `winnow migrate`."""
