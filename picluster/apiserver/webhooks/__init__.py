"""Calls from the API server to servers that extend it: which address, whom to trust, one bounded request.

``client.WebhookClient`` posts a review to what a ``clientConfig`` names (admission, conversion); ``resolve`` finds an
address of a Service in the watch cache and ``trust`` makes TLS contexts, for the aggregator's proxy as well. What a
review says is its callers' business.
"""
