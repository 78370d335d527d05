# Make a key in /etc/picluster/pki unless it is there, and print a certificate signing request for it unless its
# certificate is good: of this authority, of this key, subject, name and address, and for 90 days more.
# Arguments: what the files are called, the subject (as openssl takes it), a host name and an address.
set -eu
umask 077
file=$1 subject=$2 name=$3 address=$4
cd /etc/picluster/pki

if [ ! -s "$file.key" ]; then
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$file.key.new"
    sync "$file.key.new"
    mv "$file.key.new" "$file.key"
fi

good() {
    openssl verify -CAfile ca.crt "$file.crt" &&
        openssl x509 -in "$file.crt" -checkend 7776000 &&
        openssl x509 -in "$file.crt" -noout -checkip "$address" | grep -q 'does match' &&
        openssl x509 -in "$file.crt" -noout -checkhost "$name" | grep -q 'does match' &&
        openssl x509 -in "$file.crt" -noout -subject -nameopt RFC2253 | grep -q "CN=${subject##*/CN=}\(,\|\$\)" &&
        [ "$(openssl x509 -in "$file.crt" -noout -pubkey)" = "$(openssl pkey -in "$file.key" -pubout)" ]
}

good > /dev/null 2>&1 || openssl req -new -key "$file.key" -subj "$subject"
