"""langidd: which language is being spoken, from live audio to MQTT."""

__version__ = "0.1.0"
