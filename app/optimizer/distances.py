"""Distances between places on the earth."""

import math
from dataclasses import dataclass

from app.errors import InvalidInput

EARTH_RADIUS_KM = 6_371.0088
"""The mean radius of WGS 84's ellipsoid (IUGG)."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place in WGS 84 degrees."""

    latitude: float
    longitude: float

    def distance_km(self, other: "Place") -> float:
        """Return the length of the great circle between two places: the haversine formula, right to 0.5 %."""
        here, there = math.radians(self.latitude), math.radians(other.latitude)
        across = math.radians(other.longitude - self.longitude)
        chord = math.sin((there - here) / 2) ** 2 + math.cos(here) * math.cos(there) * math.sin(across / 2) ** 2
        return 2.0 * EARTH_RADIUS_KM * math.asin(math.sqrt(min(1.0, chord)))


def place_of(latitude: float | None, longitude: float | None) -> Place | None:
    """Return the place; None where it is not known."""
    return None if latitude is None or longitude is None else Place(latitude, longitude)


def checked_place(latitude: float | None, longitude: float | None) -> Place | None:
    """Return the place a client gave, None where it gave none; InvalidInput for half a place, or one off the earth."""
    if latitude is None and longitude is None:
        return None
    if latitude is None or longitude is None:
        missing = "latitude" if latitude is None else "longitude"
        raise InvalidInput("A place has a latitude and a longitude: give both, or neither.", path=(missing,))
    for name, value, most in (("latitude", latitude, 90.0), ("longitude", longitude, 180.0)):
        if not -most <= value <= most:
            raise InvalidInput(f"A {name} lies from {-most:g} to {most:g} degrees, not {value:g}.", path=(name,))
    return Place(latitude, longitude)
