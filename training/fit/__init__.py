"""From prepared recordings to a checkpoint."""
