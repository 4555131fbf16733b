"""Memory that heavy work has left behind, given back to the machine."""

import ctypes
import sys
from typing import Any

M_MMAP_THRESHOLD = -3
LARGE = 128 * 1024
"""Bytes."""


def give_back() -> bool:
    """Give back what was freed and is kept in case it is wanted again; tell whether there was any.

    glibc keeps freed memory of the size that it once had. Elsewhere nothing is done.
    """
    trim = _of_glibc("malloc_trim")
    return trim is not None and trim(0) == 1


def keep_large_apart() -> bool:
    """Let each large piece of memory be mapped by itself, to be gone once it is freed; tell whether it will be.

    glibc does so at first, and stops for pieces as large as one that was freed: from then on they lie among small ones
    that stay, in a heap that grows with each model that is trained.
    """
    option = _of_glibc("mallopt")
    return option is not None and option(M_MMAP_THRESHOLD, LARGE) == 1


def _of_glibc(name: str) -> Any:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
