#!/usr/bin/env bash
# Makes a root folder into one of the images, by the scripts that Packer runs: makeRoot.sh ROLE. For root, on Debian or Ubuntu.
# Prints what the scripts say; the result is .bjr/roots/ROLE. A fresh Debian, made once, is kept in .bjr/roots/debian.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
role=${1:?bjr, bjr-api or bjr-worker}
roots=$PWD/.bjr/roots release=trixie
# What Debian's images for EC2 have beyond the base, as far as it is of interest here.
packages=(cloud-init dbus netcat-openbsd systemd systemd-sysv)
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}

# In namespaces of its own: what is mounted, or left running, goes with it.
enter() {
  # shellcheck disable=SC2016 # the inner shell's
  unshare --mount --pid --fork --kill-child -- bash -euc '
    root=$1; shift
    mount --make-rprivate /
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 "$@"' enter "$@"
}

# Nothing is started while it is being installed: this is a folder, not a machine.
prepare() {
  cp --remove-destination /etc/resolv.conf "$1/etc/resolv.conf"
  printf '#!/bin/sh\nexit 101\n' > "$1/usr/sbin/policy-rc.d"
  chmod +x "$1/usr/sbin/policy-rc.d"
  # Not after each file: it is gone tomorrow.
  echo force-unsafe-io > "$1/etc/dpkg/dpkg.cfg.d/unsafe-io"
}

make_debian() {
  [ ! -e "$roots/debian" ] || return 0
  echo "== a fresh Debian ($release)"
  rm -rf "$roots/debian.new"
  debootstrap --variant=minbase --include=ca-certificates "$release" "$roots/debian.new" "$mirror"
  # An enterprise's proxies have certificates of their own.
  find /usr/local/share/ca-certificates -name '*.crt' -exec cp {} "$roots/debian.new/usr/local/share/ca-certificates/" \;
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian-security $release-security main" \
    > "$roots/debian.new/etc/apt/sources.list.d/security.list"
  prepare "$roots/debian.new"
  enter "$roots/debian.new" DEBIAN_FRONTEND=noninteractive sh -euc '
    update-ca-certificates
    apt-get -qq update
    apt-get -y -qq install --no-install-recommends "$@"
    apt-get -qq clean' sh "${packages[@]}"
  mv "$roots/debian.new" "$roots/debian"
}

mkdir -p "$roots"
make_debian
root=$roots/$role
rm -rf "$root"
cp -a --reflink=auto "$roots/debian" "$root"
prepare "$root"

mkdir "$root/tmp/bjr"
cp -r packer/files packer/provision packer/systemd "$root/tmp/bjr"
packer/release.sh "$root/tmp/bjr/bjr.tar.gz"
enter "$root" BJR_ROLE="$role" BJR_IS_IMAGE=yes ${https_proxy:+https_proxy="$https_proxy"} ${http_proxy:+http_proxy="$http_proxy"} \
  /tmp/bjr/provision/install.sh
rm -rf "$root/tmp/bjr" "$root/usr/sbin/policy-rc.d" "$root/etc/dpkg/dpkg.cfg.d/unsafe-io"
