"""What the world does to speech, done to every language alike."""
