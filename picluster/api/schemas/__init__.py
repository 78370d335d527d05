"""Schema data of Kubernetes 1.36, and what reads it; ``picluster.api.schema`` is the way in.

``definitions.json`` (OpenAPI v2 form, no prose) and ``descriptions.json.gz`` (the prose) are generated from the
development dependency ``kubernetes-validate`` by ``generate.py``. ``fieldnumbers.json`` is what OpenAPI lacks for
protobuf; ``numbers`` says where it is from. All are read on first use only.
"""
