#!/usr/bin/env bash
# Packs what an image runs, from the commit that is checked out: release.sh FILE.tar.gz
set -euo pipefail
target=$(realpath -m "${1:?the file to write}")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mkdir -p "$(dirname "$target")"
git archive --format tar.gz --output "$target" HEAD -- src tools/build.ts drizzle package.json package-lock.json .npmrc README.md
