#!/usr/bin/env bash
# Unpacks servers from the distribution's own packages into a folder: without root, and without touching the system.
#
#   download.sh KIND DIR     KIND: mysql, mariadb or redis; mysql-client or mariadb-client for what bin/backup needs.
#                            Afterwards DIR/bin holds wrappers that start the programs.
#
# The packages come with all that they depend on, the C library included, because apt is given an empty list of what is
# installed: programs from another release of the distribution run too.
set -euo pipefail
kind=$1 target=$2

say() { echo "$*" >&2; }
mkdir -p "$(dirname "$target")"
# One download of a kind at a time (its caller holds a lock): what an earlier one left when it was killed can go.
rm -rf "$(dirname "$target")/.download-$kind-"*
work=$(mktemp -d "$(dirname "$target")/.download-$kind-XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{lists/partial,archives/partial,root,bin}
: > "$work/status"

available() { apt-cache "${apt[@]}" policy "$1" 2>/dev/null | grep -E '^ *Candidate: [^(]' >/dev/null; }

# Debian's stable release packages MariaDB only; its unstable one has MySQL. The mirror is the one that apt uses here.
use_unstable() {
  local mirror
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -E '/debian/?$' | sort -u | head -n 1)
  [ -n "$mirror" ] || { say "There is no package of $kind here, and no Debian mirror to take one from."; exit 1; }
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror sid main" > "$work/sources.list"
  apt+=(-o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null)
  say "  reading the package lists of Debian unstable …"
  apt-get "${apt[@]}" -qq update >&2
}

apt=(-o "Dir::State::Lists=$work/lists" -o "Dir::State::status=$work/status" -o "Dir::Cache::archives=$work/archives"
  -o "Dir::Cache::pkgcache=$work/pkgcache.bin" -o "Dir::Cache::srcpkgcache=$work/srcpkgcache.bin"
  -o APT::Install-Recommends=0 -o "APT::Sandbox::User=$(id -un)" -o Debug::NoLocking=1)

case $kind in
  mysql) packages=(mysql-server-core mysql-server-core-8.4 mysql-server-core-8.0) programs=(mysqld) ;;
  mariadb) packages=(mariadb-server-core mariadb-server-core-10.6) programs=(mariadbd) ;;
  redis) packages=(redis-server valkey-server) programs=(redis-server valkey-server) ;;
  mysql-client) packages=(mysql-client-core mysql-client-core-8.4 mysql-client-core-8.0) programs=(mysql mysqldump) ;;
  mariadb-client) packages=(mariadb-client mariadb-client-10.6) programs=(mariadb mariadb-dump) ;;
  *) say "usage: download.sh mysql|mariadb|redis|mysql-client|mariadb-client DIR"; exit 2 ;;
esac

say "  reading the package lists …"
apt-get "${apt[@]}" -qq update >&2
pick() { for package in "${packages[@]}"; do if available "$package"; then echo "$package"; return; fi; done; }
package=$(pick)
if [ -z "$package" ] && [[ $kind = mysql* ]]; then use_unstable; package=$(pick); fi
[ -n "$package" ] || { say "There is no package of $kind here."; exit 1; }
extras=()
[ "$kind" = mariadb ] && available mariadb-client-core && extras=(mariadb-client-core)
[ "$package" = redis-server ] && available redis-tools && extras=(redis-tools)

say "  fetching $package and what it needs …"
apt-get "${apt[@]}" -qq -y --download-only install "$package" "${extras[@]}" >&2
say "  unpacking $(find "$work/archives" -name '*.deb' | wc -l) packages …"
for archive in "$work"/archives/*.deb; do dpkg-deb -x "$archive" "$work/root"; done

# Absolute paths in the wrappers must be those of the final place.
mkdir -p "$work/out"; mv "$work/root" "$work/bin" "$work/out/"
root=$work/out/root
loader=$(find "$root" -name 'ld-linux*.so.*' \( -type f -o -type l \) | head -n 1)
[ -n "$loader" ] || { say "The packages hold no dynamic loader."; exit 1; }
place() { echo "$target${1#"$work/out"}"; }
libraries=$(place "$root")/usr/lib/mysql/private
for folder in "$root"/{usr/,}lib/*-linux-gnu* "$root"/{usr/,}lib{,64}; do
  if [ -d "$folder" ]; then libraries=$libraries:$(place "$folder"); fi
done
# A server's own configuration on this machine is not for ours, and its messages are where they were unpacked.
case $kind in
  redis | *-client) options= ;;
  *) options=" --no-defaults --basedir=$(place "$root")/usr --lc-messages-dir=$(place "$root")/usr/share/mysql" ;;
esac
for program in "${programs[@]}"; do
  for folder in usr/sbin usr/bin; do
    file=$root/$folder/$program
    [ -e "$file" ] || continue
    if [ "$(head -c 2 "$file")" = '#!' ]; then exec_line="exec $(place "$file")"
    # By its own name, also where that is a link: redis-server is one program with redis-check-rdb and looks at it.
    else exec_line="exec $(place "$loader") --library-path $libraries $(place "$file")$options"; fi
    printf '#!/bin/sh\n%s "$@"\n' "$exec_line" > "$work/out/bin/$program"
    chmod +x "$work/out/bin/$program"
  done
done
[ -n "$(ls "$work/out/bin")" ] || { say "The packages hold none of: ${programs[*]}"; exit 1; }
# Complete or not there at all: a download that was cut off leaves nothing that a later one would take for whole.
rm -rf "$target"
mv "$work/out" "$target"
