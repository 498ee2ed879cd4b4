"""Whether windows are scored, from their outcomes alone."""

from __future__ import annotations

from langidd.service.scoring import FAILED_IN_A_ROW, OncePerMinute, ScoringMonitor


def test_a_single_damaged_window_is_no_trouble():
    monitor = ScoringMonitor()
    monitor.scored(1.0)
    monitor.failed(2.0)
    assert monitor.trouble(0.0, 2.0) == ""
    monitor.scored(500.0)
    monitor.failed(900.0)
    assert (monitor.trouble(0.0, 901.0), monitor.stuck_s(0.0, 901.0)) == ("", 0.0)


def test_windows_that_all_fail_are_trouble_until_one_is_scored():
    monitor = ScoringMonitor()
    for second in range(FAILED_IN_A_ROW):
        monitor.failed(10.0 + second)
    assert "failed on each of the last 3 windows" in monitor.trouble(0.0, 13.0)
    monitor.scored(20.0)
    assert monitor.trouble(0.0, 20.0) == ""
    assert monitor.failed_windows == FAILED_IN_A_ROW


def test_how_long_nothing_was_scored_counts_only_while_windows_come():
    monitor = ScoringMonitor()
    for second in (0.0, 30.0, 61.0):
        monitor.failed(second)
    # Nobody has spoken since: a restart would find nothing to score either.
    assert monitor.stuck_s(0.0, 3_600.0) == 61.0


def test_a_model_that_hangs_is_seen_by_what_waits_and_by_what_is_dropped():
    monitor = ScoringMonitor()
    assert "scored no window for 31 s" in monitor.trouble(31.0, 31.0)
    for second in range(0, 40, 2):
        monitor.dropped(float(second))
    assert "scored no window for 38 s" in monitor.trouble(4.0, 40.0)


def test_a_long_queue_before_a_slow_model_is_no_hang():
    monitor = ScoringMonitor()
    monitor.scored(100.0)
    assert monitor.stuck_s(90.0, 104.0) == 4.0
    assert monitor.trouble(90.0, 104.0) == ""
    assert "scored no window for 40 s" in monitor.trouble(126.0, 140.0)


def test_overload_is_a_share_of_the_recent_windows_and_passes():
    monitor = ScoringMonitor()
    for second in range(10):
        monitor.scored(float(second))
        monitor.dropped(float(second))
    assert "10 of the last 20 windows were dropped" in monitor.overload(10.0)
    for second in range(200):
        monitor.scored(100.0 + second)
    assert monitor.overload(300.0) == ""
    assert monitor.dropped_windows == 10


def test_a_source_is_reported_once_a_minute_with_the_count_of_the_rest():
    reports = OncePerMinute()
    assert [reports.due("hall", 0.5 * step) for step in range(3)] == [1, 0, 0]
    assert reports.due("gate", 1.0) == 1
    assert reports.due("hall", 61.0) == 3
    reports.forget("hall")
    assert reports.due("hall", 62.0) == 1
