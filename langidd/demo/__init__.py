"""The demo: a short recording of three languages, and what a subscriber hears of it."""
