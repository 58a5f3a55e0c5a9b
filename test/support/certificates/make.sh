#!/usr/bin/env bash
# Makes all certificates of this folder anew, with OpenSSL 3. The authority's key is thrown away.
set -euo pipefail
folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
cd "$work"
mkdir issued
touch index
cat >authority.conf <<'CONF'
[ca]
default_ca = tests
[tests]
new_certs_dir = issued
database = index
rand_serial = yes
default_md = sha256
unique_subject = no
policy = names
[names]
commonName = supplied
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[this-machine]
subjectAltName = IP:127.0.0.1, DNS:localhost
extendedKeyUsage = serverAuth
[other-host]
subjectAltName = DNS:api.example.com
extendedKeyUsage = serverAuth
CONF

# Years of four digits: `openssl x509` of version 3.0 can't be told when a certificate begins.
certificate() { # file name extensions key begin end option...
  openssl req -new -key "$4" -subj "/CN=$2" -out request
  openssl ca -batch -notext -config authority.conf -extensions "$3" -startdate "${5}000000Z" -enddate "${6}000000Z" \
    -keyfile authority.key -in request -out "$1" "${@:7}"
}

for key in authority.key key; do openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$key"; done
certificate authority.pem "AuditQL's tests" authority authority.key 20260101 21260101 -selfsign
certificate server.pem server this-machine key 20260101 21260101 -cert authority.pem
certificate other-host.pem other-host other-host key 20260101 21260101 -cert authority.pem
certificate expired.pem expired this-machine key 20200101 20200102 -cert authority.pem
{
  echo "A key of AuditQL's tests, public with their sources: it guards nothing."
  cat key
} >test-key.pem
cp authority.pem server.pem other-host.pem expired.pem test-key.pem "$folder"
