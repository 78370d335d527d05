"""What a process loads before it serves: no more than it serves with."""

from __future__ import annotations

import gc
import json
import subprocess
import sys

import pytest

from picluster.server import process

LOADED = (
    "import json, sys\n"
    "{imports}\n"
    "from aiohttp import connector\n"
    "print(json.dumps([sorted(sys.modules), connector._SSL_CONTEXT_VERIFIED.cert_store_stats()['x509_ca']]))"
)


def loaded(imports: str) -> tuple[set[str], int]:
    """The modules of a new process after ``imports``, and how many authorities aiohttp has read."""
    program = LOADED.format(imports=imports)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    modules, authorities = json.loads(done.stdout)
    return set(modules), authorities


def test_an_api_server_loads_what_it_serves_with() -> None:
    modules, authorities = loaded("import picluster.cli.server as command\ncommand.process.preload()")
    assert "picluster.apiserver.server" in modules
    packages = {".".join(name.split(".")[:2]) for name in modules}
    other_roles = {"client", "controllers", "scheduler", "hollow", "lab", "drills", "power", "pki", "rack"}
    assert packages & {f"picluster.{name}" for name in other_roles} == set()
    on_use = {
        "ctypes", "cryptography", "difflib", "importlib.resources", "jsonschema_rs", "multiprocessing", "sqlite3",
        "unittest", "zipfile", "picluster.api.cel.program", "picluster.apiserver.encryption", "rich",
    }  # fmt: skip
    assert modules & on_use == set()
    assert authorities == 0


@pytest.mark.parametrize("imports", ["import picluster.client", "import picluster_agent.__main__"])
def test_no_process_reads_authorities_that_nobody_asks(imports: str) -> None:
    assert loaded(imports)[1] == 0


def test_a_queue_needs_no_client() -> None:
    modules, _ = loaded("from picluster.runtime import WorkQueue")
    assert "picluster.client" not in modules


def test_a_settled_server_collects_seldom_and_not_what_was_there() -> None:
    threshold = gc.get_threshold()
    gc.disable()
    try:
        process.settle()
        assert gc.isenabled()
        assert gc.get_threshold()[0] == process.GC_ALLOCATIONS
        assert gc.get_freeze_count() > 10_000
    finally:
        gc.unfreeze()
        gc.set_threshold(*threshold)
        gc.enable()
