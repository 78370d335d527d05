"""A PKI directory: made once, completed after an interruption, never replaced where it is good."""

from __future__ import annotations

import base64
import os
import shutil
from pathlib import Path

import pytest
import yaml
from cryptography import x509

from picluster.pki import bundle as bundles
from picluster.pki import files
from picluster.pki.authority import days_left, new_key, public_pem, san_values
from picluster.pki.files import PkiError
from picluster.pki.tokens import Signer, Verifier
from picluster.util.clock import VirtualClock

DAY_S = 86_400
SPEC = bundles.BundleSpec(("10.77.0.10",), "10.43.0.0/16", "https://10.77.0.10:6443")


class Place:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.pki = root / "pki"
        self.clock = VirtualClock()

    def ensure(self, spec: bundles.BundleSpec = SPEC) -> list[str]:
        return [path.name for path in bundles.ensure(self.pki, self.root, spec, self.clock).written]

    def contents(self) -> dict[str, bytes]:
        return {str(p.relative_to(self.root)): p.read_bytes() for p in self.root.rglob("*") if p.is_file()}

    def certificate(self, name: str) -> x509.Certificate:
        return x509.load_pem_x509_certificate((self.pki / f"{name}.crt").read_bytes())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("whole")
    Place(root).ensure()
    return root


def test_the_second_run_changes_nothing(place: Place) -> None:
    assert "ca.key" in place.ensure()
    before = place.contents()
    assert place.ensure() == []
    assert place.contents() == before


def test_private_files_are_private(place: Place) -> None:
    old = os.umask(0)
    try:
        place.ensure()
    finally:
        os.umask(old)
    private = [*place.pki.glob("*.key"), *place.root.glob("*.kubeconfig")]
    assert len(private) == 12
    assert {path.stat().st_mode & 0o777 for path in private} == {0o600}


def test_every_certificate_says_its_profile(whole: Path) -> None:
    place = Place(whole)
    subjects = {path.stem: place.certificate(path.stem).subject.rfc4514_string() for path in place.pki.glob("*.crt")}
    assert subjects == {
        "ca": "CN=picluster-ca",
        "apiserver": "CN=kube-apiserver",
        "apiserver-kubelet-client": "CN=kube-apiserver-kubelet-client",
        "admin": "CN=kubernetes-admin,O=system:masters",
        "scheduler": "CN=system:kube-scheduler",
        "controllers": "CN=system:kube-controller-manager",
        "front-proxy-ca": "CN=picluster-front-proxy-ca",
        "front-proxy-client": "CN=front-proxy-client",
    }
    assert set(san_values(place.certificate("apiserver"))) == {
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
        "127.0.0.1",
        "::1",
        "10.43.0.1",
        "10.77.0.10",
    }
    assert days_left(place.certificate("ca"), place.clock.now()) == 3650


@pytest.mark.parametrize(("name", "embedded"), [("admin", True), ("scheduler", False), ("controllers", False)])
def test_kubeconfigs_lead_to_the_files(whole: Path, name: str, embedded: bool) -> None:
    config = yaml.safe_load((whole / f"{name}.kubeconfig").read_bytes())
    assert config["clusters"][0]["cluster"]["server"] == SPEC.server
    context = config["contexts"][0]
    assert config["current-context"] == context["name"]
    assert context["context"] == {"cluster": config["clusters"][0]["name"], "user": config["users"][0]["name"]}
    sources = {**config["clusters"][0]["cluster"], **config["users"][0]["user"]}
    files_by_field = {
        "certificate-authority": "ca.crt",
        "client-certificate": f"{name}.crt",
        "client-key": f"{name}.key",
    }
    for field, file in files_by_field.items():
        path = whole / "pki" / file
        if embedded:
            assert base64.b64decode(sources[f"{field}-data"]) == path.read_bytes()
        else:
            assert sources[field] == str(path)


def test_any_missing_file_but_the_ca_key_is_made_again_and_no_other(whole: Path, tmp_path: Path) -> None:
    follow = {"admin": ["admin.kubeconfig"]}
    for missing in ("apiserver.crt", "admin.crt", "sa.pub", "scheduler.kubeconfig"):
        place = Place(tmp_path / missing)
        shutil.copytree(whole, place.root)
        path = next(place.root.rglob(missing))
        path.unlink()
        if missing.endswith(".kubeconfig"):
            place.ensure()
        else:
            written = place.ensure()
            kubeconfigs = {"scheduler.kubeconfig", "controllers.kubeconfig"}  # they name paths, which moved
            assert set(written) - kubeconfigs == {missing, *follow.get(path.stem, [])}
        assert place.ensure() == []


def test_a_lost_leaf_key_makes_key_and_certificate(place: Place) -> None:
    place.ensure()
    (place.pki / "scheduler.key").unlink()
    assert place.ensure() == ["scheduler.key", "scheduler.crt"]


class PowerCutError(Exception):
    pass


class CutAfter:
    """Writes ``writes_left`` files as ever; the power goes in the middle of the next."""

    def __init__(self, writes_left: int) -> None:
        self.writes_left = writes_left

    def __call__(self, path: Path, data: bytes, mode: int) -> None:
        if self.writes_left == 0:
            path.with_name(f".{path.name}.tmp").write_bytes(data[: len(data) // 2])
            raise PowerCutError
        self.writes_left -= 1
        files.write_file(path, data, mode)


@pytest.mark.parametrize("writes", range(18))
def test_a_power_cut_at_any_write_is_completed_by_the_next_run(
    place: Place, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    with monkeypatch.context() as patch, pytest.raises(PowerCutError):
        patch.setattr(bundles, "write_file", CutAfter(writes))
        place.ensure()
    keys = {name: data for name, data in place.contents().items() if name.endswith(".key")}
    assert len(place.ensure()) == 22 - writes
    after = place.contents()
    assert {name: after[name] for name in keys} == keys
    assert not [name for name in after if name.endswith(".tmp")]


def test_certificates_are_renewed_before_they_expire(place: Place) -> None:
    place.ensure()
    keys = (place.pki / "admin.key").read_bytes()
    place.clock = VirtualClock(place.clock.now() + (365 - 91) * DAY_S)
    assert place.ensure() == []
    place.clock = VirtualClock(place.clock.now() + 2 * DAY_S)
    assert set(place.ensure()) == {
        "apiserver.crt",
        "apiserver-kubelet-client.crt",
        "admin.crt",
        "scheduler.crt",
        "controllers.crt",
        "front-proxy-client.crt",
        "admin.kubeconfig",
    }
    assert (place.pki / "admin.key").read_bytes() == keys
    assert days_left(place.certificate("admin"), place.clock.now()) == 365


def test_in_the_ca_s_last_days_runs_still_change_nothing(place: Place) -> None:
    place.ensure()
    place.clock = VirtualClock(place.clock.now() + (3650 - 30) * DAY_S)
    place.ensure()
    assert place.certificate("admin").not_valid_after_utc == place.certificate("ca").not_valid_after_utc
    assert place.ensure() == []


def test_an_expired_ca_is_said(place: Place) -> None:
    place.ensure()
    place.clock = VirtualClock(place.clock.now() + 3651 * DAY_S)
    with pytest.raises(PkiError, match="expired"):
        place.ensure()


def test_another_address_renews_only_what_serves(place: Place) -> None:
    place.ensure()
    moved = bundles.BundleSpec(("10.77.0.20",), "10.43.0.0/16", SPEC.server)
    assert place.ensure(moved) == ["apiserver.crt"]


def damage_nothing(place: Place) -> None:
    (place.pki / "ca.key").unlink()


def damage_swap(place: Place) -> None:
    shutil.copy(place.pki / "admin.key", place.pki / "ca.key")


def damage_garbage(place: Place) -> None:
    (place.pki / "ca.key").write_bytes(b"garbage")


def damage_certificate(place: Place) -> None:
    (place.pki / "ca.crt").write_bytes(b"garbage")


def damage_public(place: Place) -> None:
    (place.pki / "sa.key").write_bytes(public_pem(new_key()))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_nothing, "restore the key from a backup"),
        (damage_swap, "do not belong together"),
        (damage_garbage, "no private key"),
        (damage_certificate, "no certificate: restore it"),
        (damage_public, "no private key"),
    ],
)
def test_a_damaged_pki_is_never_written_over(place: Place, damage: object, message: str) -> None:
    place.ensure()
    assert callable(damage)
    damage(place)
    before = place.contents()
    with pytest.raises(PkiError, match=message):
        place.ensure()
    assert place.contents() == before


@pytest.mark.parametrize(("spec", "message"), [
    (bundles.BundleSpec(("not a host",), "10.43.0.0/16", ""), "not usable"),
    (bundles.BundleSpec((), "10.43.0.0/33", ""), "write it as"),
])  # fmt: skip
def test_a_bad_wish_writes_nothing(place: Place, spec: bundles.BundleSpec, message: str) -> None:
    with pytest.raises(PkiError, match=message):
        place.ensure(spec)
    assert place.contents() == {}


def test_two_makers_take_turns(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LOCK_TIMEOUT_S", 0.0)
    with files.locked_directory(place.pki), pytest.raises(PkiError, match="in use"):
        place.ensure()


def test_a_new_signing_key_leaves_the_old_one_to_verify(place: Place) -> None:
    place.ensure()
    old = (place.pki / "sa.pub").read_bytes()
    made = bundles.rotate_signing_key(place.pki)
    assert [path.name for path in made.written] == ["sa.key", "sa.pub"]
    both = (place.pki / "sa.pub").read_bytes()
    assert both.endswith(old) and both.count(b"BEGIN PUBLIC KEY") == 2
    assert place.ensure() == []
    signed = Signer.load(place.pki / "sa.key").sign({"iss": "x"})
    assert Verifier.load([place.pki / "sa.pub"]).claims(signed) == {"iss": "x"}


def test_a_new_encryption_key_is_first_and_the_old_one_stays(place: Place) -> None:
    place.ensure()
    path = place.pki / "encryption.yaml"
    assert path.stat().st_mode & 0o777 == 0o600
    before = yaml.safe_load(path.read_text())["resources"][0]["providers"][0]["aesgcm"]["keys"]
    bundles.rotate_encryption_key(place.pki)
    after = yaml.safe_load(path.read_text())["resources"][0]["providers"][0]["aesgcm"]["keys"]
    assert after[1:] == before and [key["name"] for key in after] == ["key2", "key1"]
    assert place.ensure() == []
