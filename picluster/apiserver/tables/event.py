"""Events, of the core group and of events.k8s.io: both show the same columns."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import Column, Printer, name_of, since, wide

COLUMNS = (
    Column("Last Seen", description="The time at which the most recent occurrence of this event was recorded."),
    Column("Type", description="Type of this event (Normal, Warning), new types could be added in the future"),
    Column("Reason", description="A short, machine understandable reason for the transition into the object's status."),
    Column("Object", description="The object that this event is about."),
    wide("Subobject"),
    wide("Source"),
    Column("Message", description="A human-readable description of the status of this operation."),
    wide("First Seen"),
    wide("Count"),
    Column("Name", format="name", priority=1),
)


def row(event: Object, now_s: float) -> list[Any]:
    about = event.get("involvedObject") or event.get("regarding") or {}
    first = event.get("firstTimestamp") or event.get("deprecatedFirstTimestamp") or event.get("eventTime")
    last = event.get("lastTimestamp") or event.get("deprecatedLastTimestamp")
    count = event.get("count") or event.get("deprecatedCount") or 1
    if series := event.get("series"):
        last, count = series.get("lastObservedTime"), series.get("count")
    return [
        since(last or first, now_s),
        event.get("type", ""),
        event.get("reason", ""),
        f"{str(about.get('kind', '')).lower()}/{about.get('name', '')}" if about.get("name") else "",
        about.get("fieldPath", ""),
        _source(event),
        str(event.get("message") or event.get("note") or "").strip(),
        since(first, now_s),
        count,
        name_of(event),
    ]


def _source(event: Object) -> str:
    source = event.get("source") or event.get("deprecatedSource") or {}
    component = source.get("component") or event.get("reportingComponent") or event.get("reportingController") or ""
    host = source.get("host") or event.get("reportingInstance") or ""
    return f"{component}, {host}" if host else str(component)


PRINTER = Printer(COLUMNS, row)
