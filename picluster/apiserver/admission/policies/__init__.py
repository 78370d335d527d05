"""ValidatingAdmissionPolicy and MutatingAdmissionPolicy: rules in CEL that the server itself runs (KEP-3488, KEP-3962).

``source`` keeps the policies with their bindings, compiled and up to date; ``dispatch`` finds those that concern a
request, with their parameters; ``validating`` and ``mutating`` are the plugins. ``patches`` is what mutations do to an
object, ``typechecking`` and ``status`` tell authors what may be wrong with a policy.
Everything is read from the watch cache. Without policies a request costs the look at an empty dict.
"""
