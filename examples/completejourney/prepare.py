"""Complete Journey's tables as files that `winnow import` takes: the joins that a mapping of columns cannot say.

What becomes of what, and why, is in docs/guide/completejourney.md.
"""

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

STORES_ARE_IN = ZoneInfo("America/New_York")
"""The days of redemptions are days there: in this zone each of them has a basket, in UTC one in nine has none."""

type Line = dict[str, Any]
type Day = tuple[int, date]


def main(folder: Path, into: Path) -> None:
    """Write users.parquet, stores.parquet, mailings.parquet, redemptions.parquet and purchases.parquet."""
    into.mkdir(parents=True, exist_ok=True)
    transactions = pq.read_table(folder / "transactions.parquet")
    pq.write_table(users(folder, transactions), into / "users.parquet")
    pq.write_table(stores(transactions), into / "stores.parquet")
    pq.write_table(mailings(folder), into / "mailings.parquet")
    pq.write_table(pa.Table.from_pylist(list(redemptions(folder, transactions))), into / "redemptions.parquet")
    pq.write_table(purchases(transactions), into / "purchases.parquet")


def users(folder: Path, transactions: pa.Table) -> pa.Table:
    """Return all households: a third of them have told who they are."""
    households = pa.table({"household_id": pc.cast(pc.unique(transactions["household_id"]), pa.int64())})
    return households.join(pq.read_table(folder / "demographics.parquet"), "household_id").sort_by("household_id")


def stores(transactions: pa.Table) -> pa.Table:
    """Return the stores in which something was bought, as merchants that run no campaign."""
    numbers = sorted(pc.unique(transactions["store_id"]).to_pylist())
    named = {"key": "store-{}", "name": "Store {}", "category": "grocery"}
    return pa.table({name: [form.format(number) for number in numbers] for name, form in named.items()})


def mailings(folder: Path) -> pa.Table:
    """Return each household of each campaign, with the day on which the campaign began."""
    described = pq.read_table(folder / "campaign_descriptions.parquet", columns=["campaign_id", "start_date"])
    sent = pq.read_table(folder / "campaigns.parquet").join(described, "campaign_id")
    return sent.sort_by([("start_date", "ascending"), ("campaign_id", "ascending"), ("household_id", "ascending")])


def purchases(transactions: pa.Table) -> pa.Table:
    """Return the baskets: what was paid, when, for how many lines, and in which store: its number and its key."""
    keys = ["basket_id", "household_id", "store_id", "transaction_timestamp"]
    baskets = transactions.group_by(keys).aggregate([("sales_value_cents", "sum"), ("product_id", "count")])
    names = {"sales_value_cents_sum": "sales_cents", "product_id_count": "lines", "transaction_timestamp": "bought_at"}
    baskets = baskets.rename_columns([names.get(name, name) for name in baskets.column_names])
    merchants = pa.array([f"store-{number}" for number in baskets["store_id"].to_pylist()])
    return baskets.append_column("merchant", merchants).sort_by(
        [("bought_at", "ascending"), ("basket_id", "ascending")]
    )


def redemptions(folder: Path, transactions: pa.Table) -> Iterator[Line]:
    """Yield each redeemed coupon with what it sold.

    A coupon sells the lines of products it covers in the household's baskets of that day; a line that several of the
    day's coupons cover belongs to the first of them, by campaign and coupon. A coupon that sold no line was still
    redeemed: it has the time of the day's first basket, and a value of 0.
    """
    rows = pq.read_table(folder / "coupon_redemptions.parquet").to_pylist()
    by_day: defaultdict[Day, list[Line]] = defaultdict(list)
    for row in rows:
        by_day[row["household_id"], row["redemption_date"].date()].append(row)
    baskets = _lines_of(transactions, by_day)
    covered = _covered(folder, {(row["campaign_id"], row["coupon_upc"]) for row in rows})
    for day in sorted(by_day):
        yield from _sold(day, by_day[day], baskets[day], covered)


def _sold(
    day: Day, redeemed: list[Line], lines: list[Line], covered: dict[tuple[int, int], set[int]]
) -> Iterator[Line]:
    left = sorted(lines, key=lambda line: (line["transaction_timestamp"], line["basket_id"], line["product_id"]))
    first = left[0]["transaction_timestamp"]
    for row in sorted(redeemed, key=lambda row: (row["campaign_id"], row["coupon_upc"])):
        products = covered[row["campaign_id"], row["coupon_upc"]]
        own = [line for line in left if line["product_id"] in products]
        left = [line for line in left if line["product_id"] not in products]
        yield {
            "household_id": day[0],
            "campaign_id": row["campaign_id"],
            "coupon_upc": row["coupon_upc"],
            "day": day[1].isoformat(),
            "redeemed_at": own[0]["transaction_timestamp"] if own else first,
            "sales_cents": sum(line["sales_value_cents"] for line in own),
            "discount_cents": sum(line["coupon_disc_cents"] + line["coupon_match_disc_cents"] for line in own),
            "lines": len(own),
        }


def _lines_of(transactions: pa.Table, days: Iterable[Day]) -> defaultdict[Day, list[Line]]:
    wanted = set(days)
    households = pa.array({household for household, _ in wanted}, pa.int32())
    found: defaultdict[Day, list[Line]] = defaultdict(list)
    for batch in transactions.filter(pc.is_in(transactions["household_id"], households)).to_batches(50_000):
        for line in batch.to_pylist():
            day = line["household_id"], _local_day(line["transaction_timestamp"])
            if day in wanted:
                found[day].append(line)
    return found


def _local_day(at: datetime) -> date:
    return at.replace(tzinfo=UTC).astimezone(STORES_ARE_IN).date()


def _covered(folder: Path, coupons: set[tuple[int, int]]) -> dict[tuple[int, int], set[int]]:
    found: dict[tuple[int, int], set[int]] = {coupon: set() for coupon in coupons}
    for row in pq.read_table(folder / "coupons.parquet").to_pylist():
        if (coupon := (row["campaign_id"], row["coupon_upc"])) in found:
            found[coupon].add(row["product_id"])
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
