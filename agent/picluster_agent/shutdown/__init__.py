"""Graceful shutdown of the node (KEP-2000, KEP-2712): pods end by their priority before the board goes off.

systemd-logind is told that a shutdown must wait (a delay lock), and tells when one begins; over D-Bus, spoken here
directly (``dbus``): a lock held by a helper process would outlive a killed agent, and two more processes would run for
what is four messages. ``plan`` (pure) says who ends when and within what time, ``manager`` does it, ``logind`` knows
the words of logind. Where there is no logind, a shutdown is what it always was: a power cut with notice.
"""
