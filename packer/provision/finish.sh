#!/usr/bin/env bash
# Says what is there; out of an image (BJR_IS_IMAGE=yes) it takes what belongs to the machine that it was built on. A machine that
# stays keeps its identity and its SSH host keys: without those nobody would get in after a restart.
set -euo pipefail

dpkg-query --show --showformat '${Package}\t${Version}\t${Architecture}\n' > /usr/share/bjr/packages.tsv
install -d "${BJR_SOURCE:?}/lists"
install -m 0644 /usr/share/bjr/packages.tsv /usr/share/bjr/npm.cdx.json "$BJR_SOURCE/lists/"

apt-get -qq clean
[ "${BJR_IS_IMAGE:-}" = yes ] || exit 0
rm -rf /var/lib/apt/lists/* /root/.npm /root/.cache /var/log/journal/* /var/lib/cloud/instances /etc/ssh/ssh_host_*
# Empty, not missing: each machine then makes its own at its first start.
: > /etc/machine-id
rm -f /var/lib/dbus/machine-id /var/lib/systemd/random-seed
