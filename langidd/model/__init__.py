"""From windows to scores: the queue before the model, the model, what its scores are worth."""
