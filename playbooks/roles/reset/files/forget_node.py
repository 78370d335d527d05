"""Deletes a node from the API server with the administrator's certificate. Arguments: the server's URL, the node."""

import http.client
import ssl
import sys
from urllib.parse import urlsplit

PKI = "/etc/picluster/pki"
TIMEOUT_S = 10.0


def main():
    url, node = sys.argv[1:3]
    tls = ssl.create_default_context(cafile=f"{PKI}/ca.crt")
    tls.load_cert_chain(f"{PKI}/admin.crt", f"{PKI}/admin.key")
    target = urlsplit(url)
    connection = http.client.HTTPSConnection(target.hostname, target.port, timeout=TIMEOUT_S, context=tls)
    connection.request("DELETE", f"/api/v1/nodes/{node}")
    status = connection.getresponse().status
    connection.close()
    sys.stdout.write("deleted\n" if status < 300 else f"{status}\n")


if __name__ == "__main__":
    main()
