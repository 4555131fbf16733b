"""Memory that heavy work has left behind, given back to the machine."""

import ctypes
import sys


def give_back() -> bool:
    """Give back what was freed and is kept in case it is wanted again; tell whether there was any.

    glibc keeps freed memory of the size that it once had. Elsewhere nothing is done.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    return trim is not None and trim(0) == 1
