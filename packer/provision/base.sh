#!/usr/bin/env bash
# What all images share: current packages, the tools of the scripts, users and folders.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
source=${BJR_SOURCE:?}

apt-get update -qq
apt-get -y -qq full-upgrade
apt-get -y -qq install --no-install-recommends awscli ca-certificates curl jq openssl procps

has_user() { getent passwd "$1" > /dev/null; }
has_user bjr || useradd --system --user-group --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin bjr
# Commands of jobs are this user's. Only here, in /tmp and in /var/tmp may they write.
has_user bjrjobs || useradd --system --user-group --home-dir /var/lib/bjrjobs --no-create-home --shell /usr/sbin/nologin bjrjobs
install -d -o bjrjobs -g bjrjobs -m 0700 /var/lib/bjrjobs

install -d -o root -g bjr -m 0750 /etc/bjr
install -o root -g bjr -m 0640 "$source/files/bjr.env" /etc/bjr/bjr.env
if [ -s "$source/files/database-ca.pem" ]; then
  install -o root -g root -m 0644 "$source/files/database-ca.pem" /etc/bjr/database-ca.pem
fi
install -d -m 0755 /usr/local/lib/bjr /usr/share/bjr
install -m 0755 "$source/files/bjr" /usr/local/sbin/bjr
