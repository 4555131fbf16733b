import numpy as np
from numpy.testing import assert_allclose

from engine.learning.item_scores import Visits, distances, item_scores


def test_a_visit_halves_every_half_life() -> None:
    visits = Visits(
        users=np.array([0, 0, 1]), items=np.array([1, 1, 0]), days=np.array([40.0, 100.0, -20.0]), shape=(2, 2)
    )
    assert_allclose(visits.decayed(100.0, 60.0), [[0.0, 1.5], [0.25, 0.0]])
    assert visits.before(40.0).days.tolist() == [-20.0]
    assert visits.since(40.0).days.tolist() == [40.0, 100.0]


def test_distances_of_known_places() -> None:
    # a degree of the meridian on a sphere of radius 6371.0088 km (IUGG's mean): pi * radius / 180; and half around
    found = distances(np.array([[0.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 180.0], [0.0, 0.0]]))
    assert_allclose(found, [[111.19508, 20015.1144, 0.0]], rtol=1e-6)


def test_neighbours_and_places_speak_for_an_item_not_visited() -> None:
    users = np.array([0, 0, 1, 1, 2, 3])
    items = np.array([0, 1, 0, 1, 0, 2])
    visits = Visits(users=users, items=items, days=np.zeros(6), shape=(4, 4))
    positions = np.array([[40.0, -74.0], [40.01, -74.0], [41.0, -74.0], [41.0, -74.01]])
    scores = item_scores(visits, now=0.0, half_life=60.0, positions=positions)
    neighbours, near = scores[1], scores[3]
    assert neighbours[2].argmax() == 1
    assert near[3, 3] > near[3, 0]
    assert not item_scores(visits, now=0.0, half_life=60.0, positions=None)[3].any()


def test_without_visits_all_is_zero() -> None:
    empty = np.array([], dtype=np.int64)
    visits = Visits(users=empty, items=empty, days=np.array([]), shape=(3, 8))
    assert not item_scores(visits, now=0.0, half_life=60.0, positions=np.zeros((8, 2))).any()
