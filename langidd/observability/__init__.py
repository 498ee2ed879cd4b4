"""Logs, metrics, health and what must never appear in them."""
