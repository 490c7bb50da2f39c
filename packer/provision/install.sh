#!/usr/bin/env bash
# Makes a fresh Debian into one of the images. Run as root; a second time brings it up to date.
#
#   BJR_ROLE=bjr-api provision/install.sh     BJR_ROLE: bjr (all in one), bjr-api or bjr-worker
#
# BJR_IS_IMAGE=yes: other machines will be made from this one, which loses what makes it itself.
# Beside this folder stand files/, systemd/ and the release, bjr.tar.gz.
set -euo pipefail
BJR_SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export BJR_SOURCE BJR_ROLE=${BJR_ROLE:?}

steps=(base app)
[ "$BJR_ROLE" != bjr ] || steps+=(database)
steps+=(services ssm-agent finish)
for step in "${steps[@]}"; do
  echo "== $step"
  "$BJR_SOURCE/provision/$step.sh"
done
