# Make /etc/picluster/pki/agent.key unless it is there, and print a certificate signing request for it unless
# /etc/picluster/pki/agent.crt is good: of this authority, key, name and address, and for 90 days more.
# Arguments: the node's name and its address.
set -eu
umask 077
name=$1 address=$2
cd /etc/picluster/pki

if [ ! -s agent.key ]; then
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out agent.key.new
    sync agent.key.new
    mv agent.key.new agent.key
fi

good() {
    openssl verify -CAfile ca.crt agent.crt &&
        openssl x509 -in agent.crt -checkend 7776000 &&
        openssl x509 -in agent.crt -noout -checkip "$address" | grep -q 'does match' &&
        openssl x509 -in agent.crt -noout -subject -nameopt RFC2253 | grep -q "CN=system:node:$name\(,\|\$\)" &&
        [ "$(openssl x509 -in agent.crt -noout -pubkey)" = "$(openssl pkey -in agent.key -pubout)" ]
}

good > /dev/null 2>&1 || openssl req -new -key agent.key -subj "/O=system:nodes/CN=system:node:$name"
