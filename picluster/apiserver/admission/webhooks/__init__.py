"""Admission by webhooks: ``MutatingAdmissionWebhook`` and ``ValidatingAdmissionWebhook``.

``hooks`` are the webhooks of the configurations, ``review`` (PURE) is what is asked and how an answer is read,
``dispatch`` decides who is asked and asks; ``mutating`` and ``validating`` are the plugins. Which rules and conditions
match is ``admission.matching``'s business, and how a call is made that of ``apiserver.webhooks``. Without a
configuration nothing of this runs. Source: ``apiserver/pkg/admission/plugin/webhook``.
"""
