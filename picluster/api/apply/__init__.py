"""Server-side apply: who owns which fields of an object (KEP-555, ``sigs.k8s.io/structured-merge-diff``).

PURE. Way in: a ``Type`` of the object (``types.builtin``, or ``structural.root`` for custom resources), the live
object, the new one or the applied configuration, and ``metadata.managedFields``. Way out: the merged object and the new
``managedFields``, or ``ApiError`` 409 with one cause for each conflict.

A set of fields is the JSON of ``FieldsV1`` as it is, decoded: ``fieldsets`` has the algebra, ``elements`` the names of
its steps. Sets are never changed once made, so that objects may share them.

- ``compare`` says what a write changed, ``owned`` what a configuration claims; ``check`` refuses what has no place.
- ``merge`` and ``prune`` make the new object of an apply.
- ``managers`` reads and writes ``managedFields``; ``tracking`` follows creates and updates, ``applying`` is the verb.
- ``resetfields`` says what a main resource and its subresources leave alone.
"""
