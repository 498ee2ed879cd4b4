"""The classifier: a Whisper encoder with a head, from audio windows to logits.

Everything in this package needs torch, so nothing outside it imports it before a
model is wanted.
"""

from langidd.model.whisper.torch_engine import Classifier, load_classifier

__all__ = ["Classifier", "load_classifier"]
