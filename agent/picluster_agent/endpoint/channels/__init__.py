"""How the bytes of exec, attach and port-forward travel: several channels in one connection, two ways.

``websocket`` puts the number of the channel before each message; ``spdy`` (the connection) and ``frames`` (the codec,
pure) are SPDY/3.1, alone or inside a WebSocket. ``negotiate`` meets a request and answers its upgrade; what comes out
is a ``Session`` for a command, or streams for ports, and those who use them do not see which way it was. What is done
with them is outside: ``endpoint.execution``, ``endpoint.attaching``, ``endpoint.forwarding``.
"""
