"""Custom resources with the project's own commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from definitions import definition, version, widget

from picluster.cli import main

SIZE = {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}
SCALE = {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"}
COLUMNS = [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}]


def test_they_are_named_shown_scaled_and_deleted(
    hollow_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PICLUSTER_INVENTORY", str(tmp_path))

    def picluster(*words: str) -> str:
        result = CliRunner().invoke(main, [*words, "--kubeconfig", str(hollow_server.kubeconfig)])
        assert result.exit_code == 0, result.output
        return str(result.stdout)

    def file(name: str, body: Any) -> str:
        (tmp_path / name).write_text(yaml.safe_dump(body))
        return str(tmp_path / name)

    made = version(schema=SIZE, subresources={"scale": SCALE}, additionalPrinterColumns=COLUMNS)
    crd = file("crd.yaml", definition(made, names={"shortNames": ["wd"], "singular": "gizmo"}))
    assert "customresourcedefinition.apiextensions.k8s.io/widgets.example.com created" in picluster("apply", "-f", crd)
    one = file("widget.yaml", widget(spec={"size": 2}))
    assert "gizmo.example.com/a created" in picluster("apply", "-f", one)
    for word in ("widgets", "gizmo", "wd", "widgets.example.com"):
        assert picluster("get", word).split()[:4] == ["NAME", "SIZE", "a", "2"]
    picluster("scale", "widgets/a", "--replicas", "5")
    assert '"size": 5' in picluster("get", "wd", "a", "-o", "json")
    picluster("delete", "wd", "a")
    picluster("delete", "-f", crd)
