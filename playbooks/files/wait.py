"""Waits for the API server to be ready, or with a node's name for that node; says in one line why it is not.

Runs on a board from standard input. Arguments: the server's URL, the directory of certificates, the name of the
certificate to show, the unit whose journal knows more, seconds to wait at most, and a node's name or nothing.
"""

import http.client
import json
import ssl
import subprocess
import sys
import time
from urllib.parse import urlsplit

POLL_S = 0.2
ANSWER_TIMEOUT_S = 5.0


def main():
    url, pki, name, unit, limit_s, node = sys.argv[1:7]
    tls = ssl.create_default_context(cafile=f"{pki}/ca.crt")
    tls.load_cert_chain(f"{pki}/{name}.crt", f"{pki}/{name}.key")
    deadline_s = time.monotonic() + float(limit_s)
    while True:
        reason = node_not_ready(url, tls, node) if node else not_ready(url, tls)
        if not reason:
            return 0
        if time.monotonic() > deadline_s:
            break
        time.sleep(POLL_S)
    sys.stderr.write(f"{reason}; the journal of {unit} ends with: {last_words(unit)}\n")
    return 1


def get(url, tls, path):
    """Status and body; status 0 and the reason when there is no answer."""
    target = urlsplit(url)
    connection = http.client.HTTPSConnection(target.hostname, target.port, timeout=ANSWER_TIMEOUT_S, context=tls)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error)
    finally:
        connection.close()


def not_ready(url, tls):
    status, body = get(url, tls, "/readyz")
    if status == 200:
        return ""
    return f"the API server at {url} is not ready ({status or 'no answer'}: {' '.join(body.split())[:200]})"


def node_not_ready(url, tls, node):
    status, body = get(url, tls, f"/api/v1/nodes/{node}")
    if status == 0:
        return f"the API server at {url} cannot be reached ({body})"
    if status != 200:
        return f"the node has not registered ({status})"
    conditions = json.loads(body).get("status", {}).get("conditions", [])
    ready = next((condition for condition in conditions if condition["type"] == "Ready"), {})
    if ready.get("status") == "True":
        return ""
    return f"the node is not Ready ({ready.get('message') or 'it has not said why'})"


def last_words(unit):
    command = ["journalctl", f"_SYSTEMD_UNIT={unit}.service", "-n", "1", "-o", "cat", "--no-pager"]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)
    return shown.stdout.strip() or "nothing"


if __name__ == "__main__":
    sys.exit(main())
