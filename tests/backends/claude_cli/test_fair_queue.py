"""Who is next of those that wait."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from claude_proxy.backends.claude_cli.fair_queue import FairQueue


def waiting(*names: str) -> FairQueue[str]:
    """Let items wait: ``a1`` is client a's."""
    queue: FairQueue[str] = FairQueue()
    for name in names:
        queue.add(name[0], name)
    return queue


def served(queue: FairQueue[str]) -> list[str]:
    """Serve all, one after the other."""
    order = []
    while queue:
        order.append(next(iter(queue)))
        queue.serve(order[-1])
    return order


def test_one_client_is_served_in_order() -> None:
    """K11: first come, first served."""
    assert served(waiting("a1", "a2", "a3")) == ["a1", "a2", "a3"]


def test_a_single_request_does_not_wait_behind_another_clients_many() -> None:
    """One of each client's before the second of anybody's."""
    many = [f"a{number}" for number in range(60)]
    assert served(waiting(*many, "b"))[:3] == ["a0", "b", "a1"]


def test_clients_with_many_take_turns() -> None:
    """Whatever the order in which they came."""
    assert served(waiting("a1", "a2", "a3", "b1", "b2", "c1")) == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_who_was_just_served_comes_after_the_others() -> None:
    """Also where it comes back before anybody else came."""
    queue = waiting("a1", "a2", "a3")
    queue.serve("a1")
    queue.add("b", "b1")
    assert list(queue) == ["a2", "b1", "a3"]
    queue.serve("a2")
    queue.serve("b1")
    queue.add("b", "b2")
    assert list(queue) == ["a3", "b2"]


def test_clients_that_come_back_at_once_starve_nobody() -> None:
    """Two that ask again as soon as they are answered leave the third its share."""
    queue = waiting("a1", "b1", "c1", "a2")
    order = []
    for number in range(2, 8):
        order.append(next(iter(queue)))
        queue.serve(order[-1])
        if order[-1][0] in "bc":
            queue.add(order[-1][0], f"{order[-1][0]}{number}")
    assert order[:4] == ["a1", "b1", "c1", "a2"]


def test_who_went_away_costs_its_client_nothing() -> None:
    """Sixty that were given up don't count against the next one."""
    queue = waiting("b1", "b2", *(f"a{number}" for number in range(60)))
    for number in range(60):
        queue.remove(f"a{number}")
    queue.add("a", "again")
    assert list(queue) == ["b1", "again", "b2"]


def test_what_is_over_is_forgotten() -> None:
    """Who was served long ago takes no memory."""
    queue = waiting("a", "b", "c")
    assert "a" in queue
    assert len(queue) == 3
    served(queue)
    assert not queue._served


@given(st.lists(st.sampled_from("abc"), max_size=30), st.data())
def test_nobody_is_more_than_one_ahead(clients: list[str], data: st.DataObject) -> None:
    """While a client waits, no other gets two more than it does; and each client's own are in order."""
    queue: FairQueue[tuple[str, int]] = FairQueue()
    left = [(client, number) for number, client in enumerate(clients)]
    since: dict[str, Counter[str]] = {}
    order = []
    while left or queue:
        if left and (not queue or data.draw(st.booleans())):
            item = left.pop(0)
            queue.add(item[0], item)
            since.setdefault(item[0], Counter())
            continue
        item = next(iter(queue))
        queue.serve(item)
        order.append(item)
        waits = {client for client, _ in queue}
        since = {client: counts for client, counts in since.items() if client in waits and client != item[0]}
        for client in waits:
            since.setdefault(client, Counter())[item[0]] += client != item[0]
            assert max(since[client].values(), default=0) <= 2
    for client in "abc":
        own = [number for who, number in order if who == client]
        assert own == sorted(own)
