"""Priority and fairness: who waits when more is asked than can be served at once (KEP-1040).

``rules`` says which flow schema a request belongs to, ``levels`` what share of the seats a priority level has and whose
turn it is there (both pure), ``controller`` lets requests in, ``figures`` and ``dumps`` tell of it; ``ensuring`` keeps
the ``objects`` that there have to be, ``dangling`` their conditions. Whether somebody may do what he asks is decided
elsewhere, and later.
"""

READ_SEATS, WRITE_SEATS = 80, 40
"""What a board of four slow cores serves at once before others notice."""
