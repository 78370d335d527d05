"""Aggregation: group-versions that other servers serve, behind this one (KEP "aggregated API servers").

Every served group-version has an APIService object. ``local`` keeps those that this server or a custom resource
definition serves; the others name a Service. ``services`` follows the objects and tells the catalog what is delegated,
``availability`` finds out who answers and says so in conditions, ``delegate`` passes requests on with the user in the
front proxy's headers, ``documents`` fetches what the others serve and ``merge`` (PURE) puts it beside our own in
discovery and OpenAPI. ``trusted`` is the ConfigMap by which extension servers know the front proxy. Without a foreign
APIService no request sees any of it. Source: ``k8s.io/kube-aggregator``.
"""
