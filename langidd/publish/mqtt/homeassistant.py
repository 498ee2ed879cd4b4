"""Home Assistant's MQTT discovery: one device a node, one a source.

The device-based form (`homeassistant/device/<id>/config`, Home Assistant 2024.12 and
newer): https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langidd import __version__
from langidd.publish.messages import to_json
from langidd.types import NO_SPEECH, UNCERTAIN

if TYPE_CHECKING:
    from langidd.publish.base import SourceAnnouncement
    from langidd.publish.mqtt.topics import Topics

_ORIGIN = {"name": "langidd", "sw_version": __version__}


def node_identifier(topics: Topics) -> str:
    """Return the identifier of a node's device."""
    return f"langidd_{topics.node}"


def source_identifier(topics: Topics, source: str) -> str:
    """Return the identifier of a source's device; `source` is its slug.

    A slug may hold underscores but no dot, and neither may an identifier; two hyphens never
    stand together in a slug, so no two pairs of node and source meet in one identifier.
    """
    return f"langidd_{topics.node}--{source}"


def config_topic(prefix: str, identifier: str) -> str:
    """Return where a device's configuration goes."""
    return f"{prefix}/device/{identifier}/config"


def is_config(topic: str) -> bool:
    """Say whether a topic is a device's configuration."""
    return topic.endswith("/config") and "/device/" in topic


def node_config(topics: Topics, name: str) -> bytes:
    """Return the device of the service itself: whether it is connected."""
    identifier = node_identifier(topics)
    return to_json(
        {
            "device": _device(identifier, f"langidd {name}", "langidd"),
            "origin": _ORIGIN,
            "components": {
                "connected": {
                    "platform": "binary_sensor",
                    "unique_id": f"{identifier}_connected",
                    "name": "Connected",
                    "device_class": "connectivity",
                    "entity_category": "diagnostic",
                    "state_topic": topics.status,
                    "payload_on": "online",
                    "payload_off": "offline",
                }
            },
            "qos": 1,
        }
    )


def options(announcement: SourceAnnouncement) -> list[str]:
    """Return all that a source's language may be: an enum refuses what it does not list."""
    return list(dict.fromkeys((*announcement.languages, UNCERTAIN, NO_SPEECH)))


def source_config(topics: Topics, source: str, announcement: SourceAnnouncement) -> bytes:
    """Return a source's device: language, speech, confidence, time of the last change, events."""
    identifier = source_identifier(topics, source)
    language, state = topics.of_source(source, "language"), topics.of_source(source, "state")
    components: dict[str, dict[str, Any]] = {
        "language": {
            "platform": "sensor",
            "name": "Language",
            "icon": "mdi:translate",
            "state_topic": language,
            "json_attributes_topic": state,
        },
        "speech": {
            "platform": "binary_sensor",
            "name": "Speech",
            "device_class": "sound",
            "state_topic": language,
            "value_template": f"{{{{ 'OFF' if value == '{NO_SPEECH}' else 'ON' }}}}",
        },
        "confidence": {
            "platform": "sensor",
            "name": "Confidence",
            "icon": "mdi:gauge",
            "entity_category": "diagnostic",
            "state_topic": state,
            "value_template": "{{ (value_json.confidence * 100) | round(0) }}",
            "unit_of_measurement": "%",
            "state_class": "measurement",
        },
        "since": {
            "platform": "sensor",
            "name": "Since",
            "device_class": "timestamp",
            "entity_category": "diagnostic",
            "state_topic": state,
            "value_template": "{{ value_json.since }}",
        },
        "event": {
            "platform": "event",
            "name": "Event",
            "icon": "mdi:account-voice",
            "event_types": ["language", "pause"],
            "state_topic": topics.of_source(source, "event"),
            "value_template": (
                "{{ {'event_type': value_json.type, 'id': value_json.id, "
                "'language': value_json.language, 'previous': value_json.previous, "
                "'confidence': value_json.confidence, 'since': value_json.since} | to_json }}"
            ),
        },
    }
    if announcement.languages:
        components["language"] |= {"device_class": "enum", "options": options(announcement)}
    for key, component in components.items():
        component["unique_id"] = f"{identifier}_{key}"
    device = _device(identifier, announcement.name, announcement.kind or "source")
    device["via_device"] = node_identifier(topics)
    return to_json(
        {
            "device": device,
            "origin": _ORIGIN,
            "availability": [
                {"topic": topics.status},
                {"topic": topics.of_source(source, "availability")},
            ],
            "availability_mode": "all",
            "components": components,
            "qos": 1,
        }
    )


def _device(identifier: str, name: str, model: str) -> dict[str, Any]:
    return {
        "identifiers": [identifier],
        "name": name,
        "manufacturer": "langidd",
        "model": model,
        "sw_version": __version__,
    }
