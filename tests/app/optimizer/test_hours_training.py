"""What a training of send times says of itself."""

import numpy as np
import pytest

from app.optimizer.send_times import SendTimeInputs, learn_send_times

USERS, SENDS = 60, 360


def inputs(near_rate: float, else_rate: float) -> SendTimeInputs:
    """Half of the users open from 7 to 9, the others from 19 to 21, at a rate of their own."""
    rng = np.random.default_rng(1)
    users, hours = rng.integers(0, USERS, USERS * SENDS), rng.integers(0, 24, USERS * SENDS)
    near = np.abs(hours - np.where(users % 2, 8, 20)) <= 1
    return SendTimeInputs(
        users=users,
        user_ids=np.arange(1, USERS + 1),
        segments=np.full(USERS, -1),
        segment_names=(),
        hours=hours,
        days=np.arange(users.size) * 90 // users.size,
        opened=(rng.random(users.size) < np.where(near, near_rate, else_rate)).astype(float),
        at=np.arange(users.size) * 1_000_000,
        quiet=(),
    )


def test_sends_that_it_has_not_seen_bear_out_the_hours_it_advises() -> None:
    judged = learn_send_times(inputs(0.4, 0.05), seed=1).scores["at_advised_hours"]
    point, low, high = judged["more_opens"]
    # three hours of .4 and 21 of .05 have a mean of .094
    assert low < 0.4 - 0.094 < high
    assert judged["sends"] > 200
    assert judged["borne_out"][0] == pytest.approx(point / judged["foretold"])


def test_where_hours_do_not_matter_they_bear_nothing_out() -> None:
    judged = learn_send_times(inputs(0.2, 0.2), seed=1).scores["at_advised_hours"]
    assert judged["more_opens"][1] < 0.0 < judged["more_opens"][2]
