"""The watch cache: every live object as bytes, the latest history, and whoever watches.

Way in: ``WatchCache.apply`` with committed events, in revision order. Way out: ``get``, ``Collection.select`` and
watchers. It decides nothing and never writes; it knows storage's events and the resource table, but no HTTP.
"""
