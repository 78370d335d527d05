"""The port that the API server serves on, looked at before anything else is touched."""

from __future__ import annotations

import socket

from picluster.server.config import ServerConfig, ServerError


def free_port(config: ServerConfig) -> int:
    """The configured port if it can be listened on, any free one for 0; raises ``ServerError``."""
    family = socket.AF_INET6 if ":" in config.bind else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((config.bind, config.port))
            probe.listen()
        except OSError as error:
            raise port_refused(config, error) from error
        return int(probe.getsockname()[1])


def port_refused(config: ServerConfig, error: OSError) -> ServerError:
    reason = f"port {config.port} on {config.bind} cannot be used: {error.strerror}"
    return ServerError(f"{reason}: stop what uses it, or name another with --port")
