"""Jobs and cron jobs: selectors, policies, indexes, schedules, and what a status may say."""

from __future__ import annotations

from typing import Any

import pytest
from asked import changed, failures, update_failures, whole

from picluster.api import cron, indexes, validation
from picluster.api.resources import CRONJOBS, JOBS
from picluster.api.types import Object

POD: Object = {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}
SPEC: Object = {"template": {"spec": POD}}
INDEXED: Object = {**SPEC, "completionMode": "Indexed", "completions": 5, "parallelism": 2}
FAIL_ON_1: Object = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [1]}}
CRON: Object = {"schedule": "*/5 * * * *", "jobTemplate": {"spec": SPEC}}


def job(**spec: Any) -> Object:
    return {"spec": {**SPEC, **spec}}


def test_a_job_chooses_its_pods_by_its_uid() -> None:
    made = whole(JOBS, job(), "pi")
    uid = made["metadata"]["uid"]
    assert made["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    assert made["spec"]["template"]["metadata"]["labels"] == {
        "controller-uid": uid, "batch.kubernetes.io/controller-uid": uid,
        "job-name": "pi", "batch.kubernetes.io/job-name": "pi",
    }  # fmt: skip
    assert validation.create(JOBS, made) == []


def test_a_job_that_chooses_its_pods_itself() -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": POD}
    manual = {"manualSelector": True, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    made = whole(JOBS, {"spec": manual})
    assert made["spec"]["selector"] == {"matchLabels": {"a": "b"}}
    assert made["metadata"]["labels"] == {"a": "b"}
    assert validation.create(JOBS, made) == []


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, {"completions": 1, "parallelism": 1, "backoffLimit": 6, "completionMode": "NonIndexed", "suspend": False,
              "podReplacementPolicy": "TerminatingOrFailed", "manualSelector": False}),
        ({"completions": 3}, {"completions": 3, "parallelism": 1}),
        ({"parallelism": 3}, {"parallelism": 3, "completions": None}),
        ({"backoffLimitPerIndex": 1}, {"backoffLimit": 2**31 - 1}),
        ({"podFailurePolicy": {"rules": [{"onPodConditions": [{"type": "DisruptionTarget"}]}]}},
         {"podReplacementPolicy": "Failed",
          "podFailurePolicy": {"rules": [{"onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]}}),
    ],
)  # fmt: skip
def test_defaults_of_a_job(spec: Object, expected: Object) -> None:
    made = whole(JOBS, job(**spec))["spec"]
    assert {field: made.get(field) for field in expected} == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"parallelism": -1}, ["spec.parallelism: Invalid value: -1: must be greater than or equal to 0"]),
        ({"template": {"spec": {**POD, "restartPolicy": "Always"}}},
         ['spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"']),
        ({"completionMode": "Odd"},
         ['spec.completionMode: Unsupported value: "Odd": supported values: "NonIndexed", "Indexed"']),
        ({"completionMode": "Indexed", "parallelism": 1},
         ["spec.completions: Required value: when completion mode is Indexed"]),
        ({"backoffLimitPerIndex": 1},
         ["spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode"]),
        ({**INDEXED, "maxFailedIndexes": 6, "backoffLimitPerIndex": 1},
         ["spec.maxFailedIndexes: Invalid value: 6: must be less than or equal to completions"]),
        ({**INDEXED, "maxFailedIndexes": 1},
         ["spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified"]),
        ({"managedBy": "me"},
         ['spec.managedBy: Invalid value: "me": must be a domain-prefixed path (such as "acme.io/foo")']),
        ({"podReplacementPolicy": "Never"}, ['spec.podReplacementPolicy: Unsupported value: "Never": supported values:'
                                             ' "Failed", "TerminatingOrFailed"']),
        ({"podFailurePolicy": {"rules": [FAIL_ON_1]}, "template": {"spec": {**POD, "restartPolicy": "OnFailure"}}},
         ['spec.template.spec.restartPolicy: Invalid value: "OnFailure": only "Never" is supported when'
          " podFailurePolicy is specified"]),
        ({"podFailurePolicy": {"rules": [{"action": "Count"}]}},
         ["spec.podFailurePolicy.rules[0]: Invalid value: specifying one of OnExitCodes and OnPodConditions is"
          " required"]),
        ({"podFailurePolicy": {"rules": [{"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [2, 1],
                                                                                "containerName": "x"}}]}},
         ['spec.podFailurePolicy.rules[0].action: Invalid value: "FailIndex": requires the backoffLimitPerIndex to be'
          " set",
          'spec.podFailurePolicy.rules[0].onExitCodes.containerName: Invalid value: "x": must be one of the container'
          " or initContainer names in the pod template",
          "spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: [2,1]: must be ordered"]),
        ({"podFailurePolicy": {"rules": [{"onExitCodes": {"operator": "In", "values": [0, 0]}}]}},
         ['spec.podFailurePolicy.rules[0].action: Required value: valid values: ["Count" "FailIndex" "FailJob"'
          ' "Ignore"]',
          "spec.podFailurePolicy.rules[0].onExitCodes.values[0]: Invalid value: 0: must not be 0 for the In operator",
          "spec.podFailurePolicy.rules[0].onExitCodes.values[1]: Invalid value: 0: must not be 0 for the In operator",
          "spec.podFailurePolicy.rules[0].onExitCodes.values[1]: Duplicate value: 0"]),
        ({"successPolicy": {"rules": []}},
         ['spec.successPolicy: Invalid value: {"rules":[]}: requires indexed completion mode']),
        ({**INDEXED, "successPolicy": {"rules": [{"succeededIndexes": "0-1", "succeededCount": 3}]}},
         ["spec.successPolicy.rules[0].succeededCount: Invalid value: 3: must be less than or equal to 2 (the number of"
          " indexes in the specified succeededIndexes field)"]),
        ({**INDEXED, "successPolicy": {"rules": [{}]}},
         ["spec.successPolicy.rules[0]: Required value: at least one of succeededCount or succeededIndexes must be"
          " specified"]),
        ({"selector": {"matchLabels": {"a": "b"}}},
         ["spec.selector: Invalid value"]),
    ],
)  # fmt: skip
def test_jobs_that_are_refused(spec: Object, expected: list[str]) -> None:
    found = failures(JOBS, job(**spec))
    if len(expected) == 1 and expected[0].endswith("Invalid value"):
        assert found and found[0].startswith(expected[0]), found
    else:
        assert found == expected


def test_an_indexed_jobs_last_pod_needs_a_name() -> None:
    name = "a" * 62
    assert failures(JOBS, {"spec": INDEXED}, name)[-1].endswith(
        f"will not able to create pod with invalid DNS label: {name}-4"
    )


@pytest.mark.parametrize(
    ("before", "change", "expected"),
    [
        ({}, {"parallelism": 3, "suspend": True, "activeDeadlineSeconds": 9, "backoffLimit": 1}, []),
        ({}, {"completions": 2}, ["spec.completions: Invalid value: 2: field is immutable"]),
        (INDEXED, {"completions": 3, "parallelism": 3}, []),
        (INDEXED, {"completions": 3},
         ["spec.completions: Invalid value: 3: can only be modified in tandem with spec.parallelism"]),
        ({}, {"completionMode": "Indexed"}, ['spec.completionMode: Invalid value: "Indexed": field is immutable']),
        ({"suspend": True}, {"template": {"spec": {"nodeSelector": {"a": "b"}}}}, []),
        ({"suspend": True}, {"template": {"spec": {"containers": [{"name": "c", "image": "i", "resources": {
            "requests": {"cpu": "1"}}}]}}}, []),
    ],
)  # fmt: skip
def test_updates_of_jobs(before: Object, change: Object, expected: list[str]) -> None:
    assert update_failures(JOBS, job(**before), {"spec": change}) == expected


@pytest.mark.parametrize("suspended", [True, False])
def test_a_template_changes_only_while_nothing_runs(suspended: bool) -> None:
    change = {"template": {"spec": {"nodeSelector": {"a": "b"}, "terminationGracePeriodSeconds": 1}}}
    (failure,) = update_failures(JOBS, job(suspend=suspended), {"spec": change})
    assert failure.startswith("spec.template: Invalid value") and failure.endswith("field is immutable")


def conditions(*kinds: str) -> Object:
    return {"conditions": [{"type": kind, "status": "True"} for kind in kinds]}


START, END = "2026-01-31T12:00:00Z", "2026-01-31T12:00:09Z"


@pytest.mark.parametrize(
    ("spec", "status", "expected"),
    [
        ({}, {"active": 1, "ready": 1, "startTime": START}, []),
        ({}, {**conditions("SuccessCriteriaMet", "Complete"), "startTime": START, "completionTime": END,
              "succeeded": 1}, []),
        ({}, {**conditions("FailureTarget", "Failed"), "startTime": START}, []),
        ({}, {"active": -1}, ["status.active: Invalid value: -1: must be greater than or equal to 0"]),
        ({}, {"ready": 1}, ["status.ready: Invalid value: 1: cannot set more ready pods than active"]),
        ({}, {"completionTime": END},
         [f'status.completionTime: Invalid value: "{END}": cannot set completionTime when there is no Complete=True'
          " condition"]),
        ({}, {**conditions("SuccessCriteriaMet", "Complete"), "startTime": START},
         ["status.completionTime: Required value: completionTime is required for Complete jobs"]),
        ({}, {**conditions("Complete"), "startTime": START, "completionTime": END},
         ["status.conditions: Invalid value: cannot set Complete=True condition without the SuccessCriteriaMet=true"
          " condition"]),
        ({}, {**conditions("Failed"), "startTime": START},
         ["status.conditions: Invalid value: cannot set Failed=True condition without the FailureTarget=true"
          " condition"]),
        ({}, conditions("FailureTarget", "Failed"),
         ["status.startTime: Required value: startTime is required for finished job"]),
        ({}, {**conditions("FailureTarget", "Failed"), "startTime": START, "active": 1, "terminating": 1},
         ["status.active: Invalid value: 1: active>0 is invalid for finished job",
          "status.terminating: Invalid value: 1: terminating>0 is invalid for finished job"]),
        ({}, {"completedIndexes": "1"},
         ['status.completedIndexes: Invalid value: "1": error parsing completedIndexes: too large index: "1"',
          'status.completedIndexes: Invalid value: "1": cannot set non-empty completedIndexes when non-indexed'
          " completion mode"]),
        ({**INDEXED, "backoffLimitPerIndex": 1}, {"completedIndexes": "0-2", "failedIndexes": "2,4"},
         ['status.failedIndexes: Invalid value: "2,4": failedIndexes and completedIndexes overlap at index: 2']),
        ({}, {"uncountedTerminatedPods": {"succeeded": ["a", ""], "failed": ["a"]}},
         ['status.uncountedTerminatedPods.succeeded[1]: Invalid value: "": must not be empty',
          'status.uncountedTerminatedPods.failed[0]: Duplicate value: "a"']),
    ],
)  # fmt: skip
def test_statuses_of_jobs(spec: Object, status: Object, expected: list[str]) -> None:
    assert update_failures(JOBS, job(**spec), {"status": status}, status=True) == expected


def test_what_a_status_said_for_good() -> None:
    done = {**conditions("SuccessCriteriaMet", "Complete"), "startTime": START, "completionTime": END, "succeeded": 2}
    old = changed(JOBS, job(), {"status": done}, "status")
    new = {**old, "status": {"startTime": END, "succeeded": 1}}
    assert [str(failure) for failure in validation.status(JOBS, new, old)] == [
        f'status.startTime: Invalid value: "{END}": field is immutable for unsuspended job',
        "status.conditions: Invalid value: cannot disable the terminal Complete=True condition",
        "status.succeeded: Invalid value: 1: cannot decrease the succeeded counter",
        "status.conditions: Invalid value: cannot disable the SuccessCriteriaMet=True condition",
    ]


def test_defaults_of_a_cron_job() -> None:
    spec = whole(CRONJOBS, {"spec": CRON})["spec"]
    assert (spec["concurrencyPolicy"], spec["suspend"]) == ("Allow", False)
    assert (spec["successfulJobsHistoryLimit"], spec["failedJobsHistoryLimit"]) == (3, 1)
    assert spec["jobTemplate"]["spec"]["template"]["spec"]["dnsPolicy"] == "ClusterFirst"


@pytest.mark.parametrize(
    ("spec", "name", "expected"),
    [
        (CRON, "a", []),
        ({**CRON, "timeZone": "Europe/Zurich"}, "a", []),
        ({**CRON, "schedule": ""}, "a", ["spec.schedule: Required value"]),
        ({**CRON, "schedule": "x"}, "a",
         ['spec.schedule: Invalid value: "x": expected exactly 5 fields, found 1: [x]']),
        ({**CRON, "schedule": "TZ=UTC 0 0 * * *"}, "a",
         ['spec.schedule: Invalid value: "TZ=UTC 0 0 * * *": cannot use TZ or CRON_TZ in schedule, use timeZone field'
          " instead"]),
        ({**CRON, "timeZone": "Nowhere/X"}, "a",
         ['spec.timeZone: Invalid value: "Nowhere/X": unknown time zone Nowhere/X']),
        ({**CRON, "timeZone": "../etc"}, "a", ['spec.timeZone: Invalid value: "../etc": unknown time zone ../etc']),
        ({**CRON, "timeZone": ""}, "a",
         ['spec.timeZone: Invalid value: "": timeZone must be nil or non-empty string']),
        ({**CRON, "concurrencyPolicy": "Some"}, "a",
         ['spec.concurrencyPolicy: Unsupported value: "Some": supported values: "Allow", "Forbid", "Replace"']),
        (CRON, "a" * 53, [f'metadata.name: Invalid value: "{"a" * 53}": must be no more than 52 characters']),
        ({**CRON, "jobTemplate": {"spec": {**SPEC, "manualSelector": True, "selector": {}}}}, "a",
         ["spec.jobTemplate.spec.selector: Invalid value: {}: `selector` will be auto-generated",
          'spec.jobTemplate.spec.manualSelector: Unsupported value: true: supported values: "nil", "false"']),
    ],
)  # fmt: skip
def test_cron_jobs(spec: Object, name: str, expected: list[str]) -> None:
    assert failures(CRONJOBS, {"spec": spec}, name) == expected


@pytest.mark.parametrize(
    ("text", "minutes", "hours"),
    [
        ("*/20 3 * * *", {0, 20, 40}, {3}),
        ("50/5 1-3 * * ?", {50, 55}, {1, 2, 3}),
        ("1,2 10-20/5 * jan MON-FRI", {1, 2}, {10, 15, 20}),
        ("@hourly", {0}, set(range(24))),
    ],
)
def test_schedules(text: str, minutes: set[int], hours: set[int]) -> None:
    schedule = cron.parse(text)
    assert (schedule.minutes, schedule.hours) == (minutes, hours)


def test_parts_of_schedules() -> None:
    assert cron.parse("@every 1h30m").every_s == 5400
    schedule = cron.parse("0 0 1 feb-apr sun")
    assert (schedule.months, schedule.weekdays, schedule.any_day, schedule.any_weekday) == (
        {2, 3, 4},
        {0},
        False,
        False,
    )
    assert cron.parse("0 0 * * */2").any_day and not cron.parse("0 0 * * */2").any_weekday


@pytest.mark.parametrize(
    ("text", "objection"),
    [
        ("", "empty spec string"),
        ("@often", "unrecognized descriptor: @often"),
        ("@every soon", 'failed to parse duration @every soon: time: invalid duration "soon"'),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("* * * * 7", "end of range (7) above maximum (6): 7"),
        ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        ("x * * * *", 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'),
        ("TZ=Mars 0 0 * * *", "provided bad location Mars: unknown time zone Mars"),
    ],
)
def test_schedules_that_are_refused(text: str, objection: str) -> None:
    with pytest.raises(ValueError) as caught:
        cron.parse(text)
    assert str(caught.value) == objection


@pytest.mark.parametrize(
    ("text", "counted"), [("", 0), ("0", 1), ("0,2-4", 4), ("1-3,5,7-9", 7)]
)  # fmt: skip
def test_counting_indexes(text: str, counted: int) -> None:
    assert indexes.count(text, 10) == counted


@pytest.mark.parametrize("text", ["1,0", "3-1", "a", "1-2-3", "10", "0-10", "2-4,4", ","])
def test_indexes_that_cannot_be_read(text: str) -> None:
    with pytest.raises(ValueError):
        indexes.count(text, 10)


@pytest.mark.parametrize(
    ("completed", "failed", "common"), [("0-2", "3", None), ("0-4", "2-3", 2), ("1,3,5", "0,2,5", 5), ("x", "1", None)]
)
def test_overlapping_indexes(completed: str, failed: str, common: int | None) -> None:
    assert indexes.overlap(completed, failed, 10) == common
