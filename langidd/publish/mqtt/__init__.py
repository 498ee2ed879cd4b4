"""MQTT: what langidd says to the rest of the house.

`publisher.Publisher` takes decisions and health and keeps the broker told, whatever becomes
of the connection; `outbox.Outbox` keeps events while the broker is away;
`broker.EmbeddedBroker` is a broker of our own; `probe.probe` says whether a broker would
take us. Nothing is imported here: the configuration needs `topics` alone.
"""
