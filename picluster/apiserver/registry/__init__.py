"""The registry: what each verb does to the stored objects. One verb, one file.

Way in: a ``Write`` (who, what, how) and a decoded body, already authenticated and authorized. Way out: an ``Answer``.
Every change of a live object goes through ``Store``, guarded by the revision that was read.
"""
