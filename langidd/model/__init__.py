"""From windows to scores: one queue before one model, on any engine."""
