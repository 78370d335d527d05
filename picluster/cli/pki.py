"""``picluster pki``: what the playbooks run on the control-plane board, and what a person looks with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from picluster.pki import bundle as bundles
from picluster.pki import etcd as etcd_certificates
from picluster.pki import profiles
from picluster.pki.authority import certificate_pem, days_left, san_values
from picluster.pki.files import PkiError, locked_directory, read_file
from picluster.util.clock import SYSTEM_CLOCK

DEFAULT_DIRECTORY = Path("/etc/picluster/pki")
SERVICE_CIDR = "10.43.0.0/16"

directory_option = click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_DIRECTORY,
    show_default=True,
    help="Where the certificates are.",
)
output_option = click.option(
    "-o", "--output", type=click.Choice(["text", "json"]), default="text", help="How to print."
)
profile_option = click.option(
    "--profile", type=click.Choice(profiles.REQUEST_KINDS), required=True, help="Who it is for."
)
name_option = click.option("--name", help="The node's name, or the administrator's.")
ip_option = click.option("--ip", "ips", multiple=True, help="An address that a node serves on; repeat for more.")


class PkiGroup(click.Group):
    """Turns ``PkiError`` into one sentence on standard error and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except PkiError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=PkiGroup)
def pki() -> None:
    """Make the cluster's certificates.

    \b
    Example:
      picluster pki init --san 10.77.0.10
      picluster pki sign --profile node --name pi-1 --ip 10.77.0.11 pi-1.csr > pi-1.crt
      picluster pki show
    """


@pki.command()
@directory_option
@click.option(
    "--san", "sans", multiple=True, help="An address or name that clients reach the API server by; repeatable."
)
@click.option("--server", help="URL that kubeconfigs name.  [default: https://FIRST-SAN:6443]")
@click.option("--service-cidr", default=SERVICE_CIDR, show_default=True, help="Range of Service addresses.")
@click.option(
    "--kubeconfig-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where admin, scheduler and controllers.kubeconfig go.  [default: the parent of --dir]",
)
@output_option
def init(
    directory: Path,
    sans: tuple[str, ...],
    server: str | None,
    service_cidr: str,
    kubeconfig_dir: Path | None,
    output: str,
) -> None:
    """Complete the authority, the control plane's certificates and the kubeconfigs; keep what is good.

    \b
    Example:
      picluster pki init --san 10.77.0.10 --san pi-0
    """
    host = sans[0] if sans else "127.0.0.1"
    default_server = f"https://[{host}]:6443" if ":" in host else f"https://{host}:6443"
    spec = bundles.BundleSpec(sans, service_cidr, server or default_server)
    made = bundles.ensure(directory, kubeconfig_dir or directory.absolute().parent, spec, SYSTEM_CLOCK)
    _print_written(made, output)


@pki.command()
@click.option("--dir", "directory", type=click.Path(path_type=Path, file_okay=False), required=True, help="Where to.")
@click.option("--san", "sans", multiple=True, help="An address or name of a host that runs etcd; repeat for more.")
@output_option
def etcd(directory: Path, sans: tuple[str, ...], output: str) -> None:
    """Make an authority and one certificate for an etcd of your own: it serves with it, API servers show it.

    \b
    Example:
      picluster pki etcd --dir /etc/picluster/pki-etcd --san 10.77.0.10
    """
    _print_written(etcd_certificates.ensure(directory, sans, SYSTEM_CLOCK), output)


@pki.command()
@directory_option
@profile_option
@name_option
@ip_option
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Where the files go.  [default: --dir]")
@output_option
def issue(directory: Path, profile: str, name: str | None, ips: tuple[str, ...], out: Path | None, output: str) -> None:
    """Make a key and a certificate here, named after --name or the profile; keep them when they are good.

    \b
    Example:
      picluster pki issue --profile admin --name alice --out ./alice
    """
    wanted = profiles.for_request(profile, name, ips)
    authority = bundles.load_authority(directory)
    made = bundles.Bundle(out or directory)
    with locked_directory(made.directory):
        bundles.ensure_leaf(made, name or profile, wanted, authority, SYSTEM_CLOCK.now())
    _print_written(made, output)


@pki.command()
@directory_option
@profile_option
@name_option
@ip_option
@click.argument("csr_file", type=click.File("rb"))
def sign(directory: Path, profile: str, name: str | None, ips: tuple[str, ...], csr_file: Any) -> None:
    """Sign a request from a file (or - for standard input) and print the certificate.

    Only the request's public key counts: the profile decides subject, names and usages.

    \b
    Example:
      picluster pki sign --profile node --name pi-1 --ip 10.77.0.11 pi-1.csr > pi-1.crt
    """
    wanted = profiles.for_request(profile, name, ips)
    authority = bundles.load_authority(directory)
    certificate = authority.sign_request(wanted, csr_file.read(), SYSTEM_CLOCK.now())
    click.echo(certificate_pem(certificate).decode(), nl=False)


@pki.command()
@directory_option
@click.option("--days", type=int, default=0, help="Exit with code 1 when one has fewer days left than this.")
@output_option
def show(directory: Path, days: int, output: str) -> None:
    """Show every certificate of a directory and how long it lasts.

    \b
    Example:
      picluster pki show --days 30 || echo "renew soon"
    """
    rows = [_row(path) for path in sorted(directory.glob("*.crt"))]
    if not rows:
        raise PkiError(f"{directory} has no certificates: make them with: picluster pki init --dir {directory}")
    if output == "json":
        click.echo(json.dumps(rows))
    else:
        for row in rows:
            names = " ".join(row["sans"])
            click.echo(f"{row['name']:<26} {row['days_left']:>5} days  {row['subject']}  {names}".rstrip())
    if min(row["days_left"] for row in rows) < days:
        raise click.exceptions.Exit(1)


@pki.command()
@click.argument("which", type=click.Choice(["service-accounts", "encryption"]))
@directory_option
@output_option
def rotate(which: str, directory: Path, output: str) -> None:
    """Make a new key for service account tokens, or for Secrets at rest; what the old one made stays good.

    \b
    Restart the API server (and the controllers) for it to be used. Secrets are written anew with:
      picluster secrets reencrypt

    \b
    Example:
      picluster pki rotate service-accounts
      picluster pki rotate encryption
    """
    turn = bundles.rotate_signing_key if which == "service-accounts" else bundles.rotate_encryption_key
    _print_written(turn(directory), output)


def _row(path: Path) -> dict[str, Any]:
    certificate = bundles.parse_certificate(path, read_file(path) or b"")
    return {
        "name": path.stem,
        "subject": certificate.subject.rfc4514_string(),
        "sans": san_values(certificate),
        "not_after": certificate.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "days_left": days_left(certificate, SYSTEM_CLOCK.now()),
    }


def _print_written(made: bundles.Bundle, output: str) -> None:
    written = [str(path) for path in made.written]
    if output == "json":
        click.echo(json.dumps({"changed": bool(written), "written": written}))
    elif written:
        click.echo("\n".join(f"wrote {path}" for path in written))
    else:
        click.echo("everything is there and good; nothing changed")
