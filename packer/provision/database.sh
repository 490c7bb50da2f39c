#!/usr/bin/env bash
# The all-in-one machine's MariaDB and Redis, reached from itself only.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
source=${BJR_SOURCE:?}

apt-get -y -qq install --no-install-recommends mariadb-server mariadb-client redis-server
install -m 0644 "$source/files/mariadb.cnf" /etc/mysql/mariadb.conf.d/90-bjr.cnf
# The password: local-setup writes it here.
[ -e /etc/redis/bjr.conf ] || install -o root -g redis -m 0640 /dev/null /etc/redis/bjr.conf
grep -qx 'include /etc/redis/bjr.conf' /etc/redis/redis.conf || echo 'include /etc/redis/bjr.conf' >> /etc/redis/redis.conf
cat >> /etc/bjr/bjr.env <<'ENV'

# The database and Redis of this machine; bjr-local.service makes the account and its password.
BJR_DATABASE_HOST=127.0.0.1
BJR_DATABASE_USERNAME=bjr
REDIS_HOST=127.0.0.1
ENV
install -m 0755 "$source/files/local-setup" /usr/local/lib/bjr/local-setup
install -m 0644 "$source/systemd/bjr-local.service" /etc/systemd/system/bjr-local.service
install -d /etc/systemd/system/bjr-migrate.service.d
cat > /etc/systemd/system/bjr-migrate.service.d/local.conf <<'UNIT'
[Unit]
Wants=bjr-local.service
UNIT
systemctl enable mariadb.service redis-server.service
