"""aiohttp, without the system's certificate authorities.

While it is imported, aiohttp makes a TLS context for whoever names none, and reads all authorities of the system into
it: 3 MiB and, on a board, a tenth of a second, for every process. Whoever wants them makes a context of its own
(``ssl.create_default_context``). This has to be the first import of aiohttp in a process.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

AUTHORITIES = "SSL_CERT_FILE"
"""Where OpenSSL is told which file of authorities to read."""


@contextmanager
def _no_authorities() -> Iterator[None]:
    kept = os.environ.get(AUTHORITIES)
    os.environ[AUTHORITIES] = os.devnull
    try:
        yield
    finally:
        if kept is None:
            del os.environ[AUTHORITIES]
        else:
            os.environ[AUTHORITIES] = kept


with _no_authorities():
    import aiohttp

__all__ = ["aiohttp"]
