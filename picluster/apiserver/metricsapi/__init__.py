"""``metrics.k8s.io/v1beta1``: what nodes and pods use now, as metrics-server tells it; nothing is stored.

``rows`` is what is served, ``samples`` (pure) reads agents' ``/metrics/resource`` and makes rates of two readings,
``scraper`` reads while somebody asks, ``service`` answers, ``server`` joins them to the API server. The API is served
by an APIService that an administrator may replace: who installs a metrics-server of his own gets its answers.
"""
