#!/usr/bin/env bash
# Builds the images from the commit that is checked out, in the account of the AWS credentials that are set:
#
#   packer/build.sh                                all three
#   packer/build.sh bjr-worker                     one of them: bjr (all in one), bjr-api, bjr-worker
#   packer/build.sh bjr-api -var region=eu-west-1  options of `packer build` after it
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
only=()
if [[ ${1:-} =~ ^bjr ]]; then
  only=(-only "bjr.amazon-ebs.$1")
  shift
fi
[ -z "$(git status --porcelain -- src tools/build.ts drizzle package.json package-lock.json packer)" ] \
  || { echo "There are changes that are not committed: an image is made of a commit." >&2; exit 1; }
packer/release.sh .bjr/release/bjr.tar.gz
mkdir -p .bjr/images
packer init packer
packer build "${only[@]}" -var "revision=$(git rev-parse HEAD)" "$@" packer
