"""How a benchmark's rows are cut into shards: contiguous, with the questions on one image kept together."""

from collections.abc import Sequence


def shard_of_rows(groups: Sequence[str], shards: int) -> list[int]:
    """Return the shard number of each row.

    Args:
        groups: the group of each row (rows that share a first image), in the benchmark's order.
        shards: how many shards there are.

    Groups stay in the order of their first rows and are never split; a shard ends once it holds its share of the
    rows, so shards differ by less than one group, and one may stay empty when groups are large.
    """
    members: dict[str, int] = {}
    for group in groups:
        members[group] = members.get(group, 0) + 1
    shard_of_group: dict[str, int] = {}
    placed = 0
    for group, size in members.items():
        shard_of_group[group] = min(placed * shards // len(groups), shards - 1)
        placed += size
    return [shard_of_group[group] for group in groups]


def rows_of_shard(groups: Sequence[str], shard: int, shards: int) -> list[int]:
    """Return the row positions of one shard, ordered so that rows of a group are neighbours."""
    first: dict[str, int] = {}
    for position, group in enumerate(groups):
        first.setdefault(group, position)
    mine = [position for position, number in enumerate(shard_of_rows(groups, shards)) if number == shard]
    return sorted(mine, key=lambda position: (first[groups[position]], position))
