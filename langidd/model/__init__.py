"""Models: windows in, logits out."""
