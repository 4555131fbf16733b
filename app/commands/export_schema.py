"""`winnow export-schema`: the graph's schema in its own language."""

import sys

from graph.schema import export_schema


def command() -> None:
    """Print the graph's schema, as it is kept in schema.graphql."""
    sys.stdout.write(export_schema())
