#!/usr/bin/env bash
# Boots a root folder with its own systemd, in namespaces of its own but for the network: boot.sh ROOT. For root.
# It lives as long as this process; the first child of it is the machine's process 1.
set -euo pipefail
root=$(realpath "$1")

# A group of its own, so that its systemd finds an empty hierarchy and its limits and address filters hold.
cgroups=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
group=$cgroups/bjr-image-$$
mkdir "$group"
echo $$ > "$group/cgroup.procs"

# shellcheck disable=SC2016 # the inner shell's
exec unshare --mount --pid --ipc --uts --cgroup --fork --kill-child -- bash -euc '
  mount --make-rprivate /
  mount --bind "$1" "$1"
  cd "$1"
  mount -t proc proc proc
  mount -t sysfs -o ro sysfs sys
  mount -t cgroup2 cgroup2 sys/fs/cgroup
  mount -t tmpfs -o mode=755 tmpfs run
  mount -t tmpfs -o mode=755 tmpfs dev
  for device in null zero full random urandom tty; do touch "dev/$device"; mount --bind "/dev/$device" "dev/$device"; done
  mkdir dev/pts dev/shm
  mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
  mount -t tmpfs tmpfs dev/shm
  ln -s pts/ptmx dev/ptmx
  ln -s /proc/self/fd dev/fd
  pivot_root . mnt
  exec chroot . /bin/sh -c "umount -l /mnt; exec env -i container=bjr PATH=/usr/sbin:/usr/bin /lib/systemd/systemd"
' boot "$root" < /dev/null
