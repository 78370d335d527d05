"""Encryption at rest: what lies on the disk is ciphertext, what the watch cache holds is plain.

``config`` reads an ``EncryptionConfiguration``, ``providers`` encrypt, ``backend`` stands between the registry and the
store: bytes in, bytes out, as every backend. The form of what is stored is kube-apiserver's, prefix and all
(``k8s:enc:aesgcm:v1:<key>:``). Only values are encrypted; keys, revisions and how many there are, are not.
"""
