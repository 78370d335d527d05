"""Admission: plugins that complete or refuse an object before it is written, in Kubernetes' order.

Way in: ``Attributes`` with the decoded and defaulted object, which a plugin may change in place. A refusal is an
``ApiError``. Plugins read the watch cache and write nothing.
"""
