"""How long work says how far it is."""

from collections.abc import Awaitable, Callable

type Told = Callable[[float, str], Awaitable[object]]
"""Told how far the work is, a fraction, and in words; raises where somebody cancelled it."""
