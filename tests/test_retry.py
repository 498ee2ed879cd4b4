"""Back-off: the waits grow to a limit, differ by chance, and start again after a success."""

from __future__ import annotations

import pytest

from langidd.retry import Backoff, RetryPolicy


def longest() -> float:
    return 0.0


def test_the_wait_doubles_to_its_limit_and_starts_again_after_a_success():
    backoff = Backoff(RetryPolicy(), longest)
    assert [backoff.next_s() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    backoff.reset()
    assert backoff.next_s() == 1


def test_the_policy_sets_first_wait_growth_and_limit():
    backoff = Backoff(RetryPolicy(first_s=0.1, factor=3, longest_s=1), longest)
    assert [backoff.next_s() for _ in range(4)] == pytest.approx([0.1, 0.3, 0.9, 1])


def test_a_first_wait_beyond_the_limit_is_the_limit():
    assert Backoff(RetryPolicy(first_s=5, longest_s=2), longest).next_s() == 2


def test_chance_takes_away_the_share_that_the_policy_leaves_to_it():
    draws = iter([0.0, 0.5, 0.999])
    backoff = Backoff(RetryPolicy(first_s=8, longest_s=8), lambda: next(draws))
    assert [backoff.next_s() for _ in range(3)] == pytest.approx([8, 6, 4.004])
    waits = [Backoff(RetryPolicy(first_s=8)).next_s() for _ in range(500)]
    assert min(waits) >= 4
    assert max(waits) <= 8
    assert max(waits) - min(waits) > 3


def test_what_another_attempt_will_hardly_mend_waits_longest_at_once():
    backoff = Backoff(RetryPolicy(), longest)
    assert backoff.longest_s() == 60
    assert backoff.next_s() == 60
    backoff.reset()
    assert backoff.next_s() == 1
