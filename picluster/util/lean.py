"""aiohttp, without the system's certificate authorities, and with small buffers below TLS.

While it is imported, aiohttp makes a TLS context for whoever names none, and reads all authorities of the system into
it: 3 MiB and, on a board, a tenth of a second, for every process. Whoever wants them makes a context of its own
(``ssl.create_default_context``). This has to be the first import of aiohttp in a process.

asyncio keeps a buffer of 256 KiB for what each TLS connection may bring at once: 624 KiB of memory for a watch that is
silent, 175 KiB with room for two records of TLS (uvloop has buffers of its own).
"""

import asyncio.sslproto
import os
from collections.abc import Iterator
from contextlib import contextmanager

READ_BYTES = 32 * 1024
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

asyncio.sslproto.SSLProtocol.max_size = READ_BYTES

__all__ = ["aiohttp"]
