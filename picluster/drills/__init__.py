"""Failure drills: cause a real failure, time the healing by one clock, put everything back, report.

``model`` and ``report`` are pure; ``power_cut`` is the drill; ``observe`` follows the cluster through the API,
``probe`` the application from a surviving board; ``guard`` is the process that restores the power when the drill
itself dies.
"""
