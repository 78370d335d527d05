"""What controllers run on: a work queue of keys, controllers, the manager that feeds them, leader election.

Informers tell a controller which keys may need work; workers take keys from its queue and reconcile them, one worker
per key at a time; what fails comes back later and later. Nothing in here knows any kind of object.
"""

from picluster.runtime.controller import Controller, Requeue
from picluster.runtime.leader import LeaderElector, LeadershipLost
from picluster.runtime.manager import Manager
from picluster.runtime.workqueue import QueueClosed, WorkQueue

__all__ = ["Controller", "LeaderElector", "LeadershipLost", "Manager", "QueueClosed", "Requeue", "WorkQueue"]
