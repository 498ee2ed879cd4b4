"""Many gaps a minute are said, once, and so is their end."""

from __future__ import annotations

from langidd.audio.gap_rate import GapRate


def test_many_gaps_or_holes_in_a_minute_are_said_and_few_are_not():
    rate = GapRate()
    details = []
    for second in range(400):
        broken = 100 <= second < 200
        rate.add(second, gap=broken and second % 6 == 0, holes=max(0, min(second, 200) - 100) // 6)
        details.append(rate.detail)
    assert not any(details[:100])
    assert all("gaps in the last minute" in detail for detail in details[135:200])
    assert not any(details[265:])
    assert len(set(details)) == 2


def test_a_gap_now_and_then_is_none_of_them():
    rate = GapRate()
    for second in range(1_000):
        rate.add(second, gap=second % 10 == 0, holes=0)
        assert not rate.detail
