"""A request for every published operation, made up by schemathesis; prints the answers that no client may get."""

import base64
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import requests
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, given, settings

TIMEOUT_S = 5
LEFT_OUT = ("proxy", "/watch/")
EXAMPLES = {"post": 2}


def files_of(kubeconfig: dict[str, Any], directory: Path) -> dict[str, Path]:
    user, cluster = kubeconfig["users"][0]["user"], kubeconfig["clusters"][0]["cluster"]
    contents = {
        "cert": user["client-certificate-data"],
        "key": user["client-key-data"],
        "ca": cluster["certificate-authority-data"],
    }
    paths = {name: directory / name for name in contents}
    for name, path in paths.items():
        path.write_bytes(base64.b64decode(contents[name]))
        path.chmod(0o600)
    return paths


def main(kubeconfig: dict[str, Any], directory: Path) -> None:
    server, files = kubeconfig["clusters"][0]["cluster"]["server"], files_of(kubeconfig, directory)
    tls: dict[str, Any] = {"verify": str(files["ca"]), "cert": (str(files["cert"]), str(files["key"]))}
    codes: Counter[str] = Counter()
    failures: list[dict[str, Any]] = []
    with requests.Session() as session:
        session.trust_env = False
        schema = schemathesis.openapi.from_dict(session.get(f"{server}/openapi/v2", **tls).json())
        for found in schema.get_all_operations():
            operation = found.ok()
            if any(part in operation.path for part in LEFT_OUT):
                continue

            @settings(
                max_examples=EXAMPLES.get(operation.method, 1), deadline=None, database=None, derandomize=True,
                phases=[Phase.generate], suppress_health_check=list(HealthCheck),
            )  # fmt: skip
            @given(case=operation.as_strategy())
            def ask(case: Any) -> None:
                try:
                    answer = case.call(base_url=server, session=session, timeout=TIMEOUT_S, **tls)
                except requests.exceptions.ReadTimeout:
                    codes["watching"] += 1
                    return
                codes[str(answer.status_code)] += 1
                if answer.status_code >= 500:
                    failures.append({"asked": f"{case.method} {case.path}", "said": answer.text[:500]})

            ask()
    print(json.dumps({"codes": codes, "failures": failures}))


with tempfile.TemporaryDirectory() as scratch:
    main(yaml.safe_load(Path(sys.argv[1]).read_text()), Path(scratch))
