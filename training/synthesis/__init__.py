"""Speech from synthesisers, and clips by other voices."""
