import platform
import subprocess
import sys

import numpy as np
import psutil
import pytest

from app.runtime.memory import give_back

MEBIBYTE = 1024 * 1024


GLIBC = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other libraries have other ways")
LEFT = """
import numpy as np, psutil
from app.runtime.memory import keep_large_apart

assert keep_large_apart()
np.ones(2_500_000)  # 20 MB, freed at once: pieces up to this size are kept from now on
process = psutil.Process()
pieces = [np.ones(125_000) for _ in range(100)]  # 1 MB each
last = [np.ones(1_000) for _ in range(100)]  # on top of them
held = process.memory_info().rss
del pieces
print((held - process.memory_info().rss) // 2**20)
"""


@GLIBC
def test_large_pieces_are_gone_once_they_are_freed():
    done = subprocess.run([sys.executable, "-c", LEFT], capture_output=True, text=True, check=True)
    assert 85 <= int(done.stdout) <= 105


@GLIBC
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


def test_it_is_known_whether_large_pieces_are_kept_apart():
    code = "from app.runtime.memory import keep_large_apart; print(keep_large_apart())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"{platform.libc_ver()[0] == 'glibc'}\n"
