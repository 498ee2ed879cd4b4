"""The TLS context of a connection to the broker."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from langidd.errors import BrokerError

if TYPE_CHECKING:
    from langidd.config import TlsSettings


def tls_context(settings: TlsSettings) -> ssl.SSLContext:
    """Read certificates and key; done for every connection, since they may have been renewed.

    Reads files, so it belongs in a thread.

    Raises:
        BrokerError: A file cannot be used; the text names it.

    """
    try:
        context = ssl.create_default_context(
            cafile=str(settings.ca_file) if settings.ca_file is not None else None
        )
    except (OSError, ssl.SSLError) as error:
        raise BrokerError(
            f"mqtt.tls.ca_file {settings.ca_file} cannot be used: {_cause(error)}; "
            "it must be a PEM file of certificates"
        ) from error
    if settings.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.cert_file is not None:
        secret = settings.key_password
        # Without a password OpenSSL would ask for one on the terminal.
        password = secret.get_secret_value() if secret is not None else ""
        try:
            context.load_cert_chain(settings.cert_file, settings.key_file, password)
        except (OSError, ssl.SSLError) as error:
            raise BrokerError(
                f"mqtt.tls.cert_file {settings.cert_file} with key_file {settings.key_file} cannot "
                f"be used: {_cause(error)}; they must be PEM files that belong together"
            ) from error
    return context


def _cause(error: OSError) -> str:
    """Return OpenSSL's reason without its source line; it has none for a wrong password."""
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or "").replace("_", " ").lower()
        return reason or "the file or its key_password is wrong"
    return error.strerror or str(error)
