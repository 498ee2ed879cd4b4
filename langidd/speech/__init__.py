"""From chunks to windows: voice activity, segments, windows."""
