"""The demo: a short recording in three languages, and what a subscriber receives."""
