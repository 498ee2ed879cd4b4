"""MQTT: the broker, and Home Assistant behind it.

`publisher` decides what is published and puts it into two queues, `retained` (the newest of
each topic) and the outbox (every event); `delivery` keeps one connection to the broker and
empties the queues into it. `connection` is aiomqtt's client without a way to hang. `service`
puts them together.
"""
