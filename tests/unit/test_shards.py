from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from vlmake.inference.shards import rows_of_shard, shard_of_rows

GROUPS = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=60)


@given(GROUPS, st.integers(1, 9))
def test_every_row_is_in_exactly_one_shard_and_groups_stay_whole(groups: list[str], shards: int) -> None:
    parts = [rows_of_shard(groups, number, shards) for number in range(shards)]
    assert sorted(row for part in parts for row in part) == list(range(len(groups)))
    for group in set(groups):
        assert len({number for number, part in enumerate(parts) for row in part if groups[row] == group}) == 1


@given(GROUPS)
def test_questions_on_one_image_are_neighbours(groups: list[str]) -> None:
    ordered = [groups[row] for row in rows_of_shard(groups, 0, 1)]
    changes = sum(a != b for a, b in pairwise(ordered))
    assert changes == len(set(groups)) - 1


def test_shards_are_even_where_groups_are_small() -> None:
    numbers = shard_of_rows([str(row // 2) for row in range(2374)], 5)
    sizes = [numbers.count(number) for number in range(5)]
    assert max(sizes) - min(sizes) <= 2
    assert numbers == sorted(numbers)
