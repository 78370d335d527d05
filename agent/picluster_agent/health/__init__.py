"""How the board itself is: voltage, heat, wear of its storage, its root file system, its clock.

``sensors`` reads what the kernel and the firmware say (nothing is written, and a board without a sensor says nothing);
``decide`` (pure) makes conditions of the Node of it, with patience, so that a flickering supply is no flood of events;
``report`` (pure) makes metrics; ``monitor`` does both every few seconds. Everything is read below one root directory.
"""
