"""The systemd unit, its drop-ins, the example configuration, and what puts them in place."""
