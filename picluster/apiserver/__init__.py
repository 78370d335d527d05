"""The API server: the only meeting point of everything in a cluster.

Way in: an HTTPS request. ``http`` splits it, ``authn`` names its user, ``authz`` lets it pass, ``admission`` completes
or refuses the object, ``registry`` decides what is written, ``storage`` commits it. Way out: ``cache`` applies what was
committed, and answers every read and every watch from the objects' bytes.

Stays outside: deciding what should run where. Nothing in here acts on an object by itself; controllers do, as clients.
"""
