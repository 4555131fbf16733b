"""Whom a campaign is for, by its targeting: the conditions of tests, where a list stands for one of its values."""

from collections.abc import Mapping
from functools import lru_cache
from typing import cast

import orjson

from app.abtests.assigning import attributes_of
from app.abtests.targeting import Predicate, compile_targeting
from app.errors import DomainErrors
from app.store.campaigns import UserRow

REMEMBERED = 4_096


def is_for(targeting: object, user: UserRow) -> bool:
    """Tell whether a campaign with this targeting is for a user; one that cannot be understood is for nobody."""
    return targeting is None or _compiled(orjson.dumps(targeting))(attributes_of(user))


@lru_cache(maxsize=REMEMBERED)
def _compiled(written: bytes) -> Predicate:
    try:
        return compile_targeting(_with_lists(orjson.loads(written))).matches
    except DomainErrors:
        return lambda _attributes: False


def _with_lists(condition: object) -> object:
    """Return a condition in which a list of values, {"segment": ["new", "lapsed"]}, is said by $in."""
    if not isinstance(condition, Mapping):
        return condition
    pairs = cast("Mapping[str, object]", condition).items()
    return {name: _one_of(value) if name[:1] != "$" else value for name, value in pairs}


def _one_of(value: object) -> object:
    return {"$in": cast("list[object]", value)} if isinstance(value, list) else value
