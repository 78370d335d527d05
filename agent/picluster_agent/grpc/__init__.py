"""Calls to the drivers that run on this node: gRPC over unix sockets, as a client, one call per connection.

``protobuf`` turns dicts into messages and back by tables of fields; ``unary`` does a call. Calls are rare (a volume
comes or goes), so a connection is not kept: a driver that starts anew is met like one that never stopped.
"""
