"""Measuring decisions: truth, test conversations, replay, figures, the sweep of settings."""
