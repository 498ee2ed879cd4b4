"""Where somebody speaks: from chunks of sound to windows of speech."""
