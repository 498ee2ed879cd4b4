"""From scores and pauses to smoothed decisions: pure, one decider a source."""
