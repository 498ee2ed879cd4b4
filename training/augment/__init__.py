"""Augmentation of training speech, and the codecs that it goes through."""
