"""From decisions to the outside world: messages, the outbox and the publishers."""
