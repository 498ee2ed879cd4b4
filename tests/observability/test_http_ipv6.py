"""Metrics and health on an IPv6 address."""

from __future__ import annotations

import socket
import urllib.request

import pytest
from prometheus_client import CollectorRegistry

from langidd.errors import ServiceError
from langidd.observability.http import Endpoint


def test_the_endpoint_listens_on_ipv6():
    endpoint = Endpoint("::1", 0, CollectorRegistry(), lambda: (True, {"state": "ok"}))
    try:
        with urllib.request.urlopen(f"http://[::1]:{endpoint.port}/metrics", timeout=10) as answer:
            assert answer.status == 200
    finally:
        endpoint.close()


def test_an_ipv6_address_that_is_taken_is_named_in_brackets():
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServiceError, match=rf"cannot listen on \[::1\]:{port}"):
            Endpoint("::1", port, CollectorRegistry(), lambda: (True, {}))
