"""Tests as files: who was assigned what, who saw what, and what came of it."""
