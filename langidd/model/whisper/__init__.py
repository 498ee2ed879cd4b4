"""Whisper: its checkpoints, its log-mel spectrogram, and the engines that run it."""
