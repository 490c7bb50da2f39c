#!/usr/bin/env bash
# The units of a role, and their scripts. They start with the machine, once it has its user data.
set -euo pipefail
source=${BJR_SOURCE:?} role=${BJR_ROLE:?}

case $role in
  bjr) units=(bjr-api bjr-worker) ;;
  bjr-api) units=(bjr-api) ;;
  bjr-worker) units=(bjr-worker bjr-drain) ;;
  *) echo "There is no image '$role'" >&2; exit 2 ;;
esac

install -m 0755 "$source/files/fetch-secrets" "$source/files/drain" /usr/local/lib/bjr/
for unit in bjr-secrets bjr-migrate "${units[@]}"; do
  install -m 0644 "$source/systemd/$unit.service" "/etc/systemd/system/$unit.service"
done

if [ "$role" = bjr ]; then
  # Two on one machine: the API's listener for metrics has 9464.
  mkdir -p /etc/systemd/system/bjr-worker.service.d
  printf '[Service]\nEnvironment=METRICS_PORT=9465\n' > /etc/systemd/system/bjr-worker.service.d/metrics.conf
fi

# cloud-init runs scripts of user data after multi-user.target: what waits for them must not be part of it.
target=multi-user.target
[ ! -e /usr/lib/systemd/system/cloud-init.target ] || target=cloud-init.target
systemctl add-wants "$target" "${units[@]/%/.service}"
