import random

import numpy as np

from engine.assignment.digits import digit_tables
from engine.assignment.hashing import fnv1a

# Numbers of every length: hashes of fewer than five digits have no leading ones, and come once in 429,497 units.
NUMBERS = [*range(120), 999, 1_000, 9_999, 10_000, 10_001, 99_999, 100_000, 2**32 - 1]


def numbers() -> list[int]:
    generator = random.Random(5)
    return NUMBERS + [generator.getrandbits(generator.randrange(1, 33)) for _ in range(2_000)]


def test_two_look_ups_hash_the_digits() -> None:
    tables = digit_tables()
    for number in numbers():
        leading, last = divmod(number, 10_000)
        assert (tables.scaled[leading] + tables.rows[leading][last]) & 0xFFFFFFFF == fnv1a(str(number))


def test_arrays_say_the_same() -> None:
    tables, all_numbers = digit_tables(), np.array(numbers(), np.uint32)
    leading, last = np.divmod(all_numbers, np.uint32(10_000))
    states = tables.scaled_states[leading] + tables.changes[tables.low_bytes[leading], last]
    assert states.tolist() == [fnv1a(str(number)) for number in all_numbers.tolist()]
