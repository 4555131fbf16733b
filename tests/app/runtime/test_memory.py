import platform

import numpy as np
import psutil
import pytest

from app.runtime.memory import give_back

MEBIBYTE = 1024 * 1024


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other libraries keep nothing that could be given back")
def test_what_was_freed_is_given_back():
    process = psutil.Process()
    pieces = [np.ones(8_000) for _ in range(2_000)]  # 64 kB each: small enough to be kept
    last = pieces[-1]  # on top of the freed ones, so that they are not given back by themselves
    held = process.memory_info().rss
    del pieces
    give_back()
    assert held - process.memory_info().rss > 60 * MEBIBYTE
    assert last[0] == 1.0


def test_it_does_no_harm_where_there_is_nothing():
    give_back()
    assert give_back() in (True, False)
