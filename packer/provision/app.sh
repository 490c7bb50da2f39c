#!/usr/bin/env bash
# The application with its production dependencies in /opt/bjr. Its Node comes with them (npm's package `node`); the
# distribution's Node and npm only install them, and go again.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
source=${BJR_SOURCE:?}
npm_version=11.19.1

work=$(mktemp -d /opt/.bjr-XXXXXX)
trap 'rm -rf "$work"' EXIT
apt-get -y -qq install --no-install-recommends libstdc++6 nodejs npm
npm install --silent --no-audit --no-fund --prefix "$work/npm" "npm@$npm_version"
export PATH="$work/npm/node_modules/.bin:$PATH" HOME="$work"

mkdir "$work/app"
tar -xzf "$source/bjr.tar.gz" -C "$work/app" --no-same-owner
cd "$work/app"
npm ci --omit=dev --no-audit --no-fund --loglevel=error
npm sbom --package-lock-only --omit=dev --sbom-format cyclonedx > "$work/npm.cdx.json"

node=node_modules/node/bin/node
"$node" --disable-warning=ExperimentalWarning tools/build.ts
rm -r src tools

# What does not start here is not put into the place of what does.
"$node" dist/main.js --version
[ "$("$node" --version)" = "v$(jq -r .dependencies.node package.json)" ]

chown -R root:root .
chmod -R u=rwX,go=rX .
cd /
rm -rf /opt/bjr.old
[ ! -e /opt/bjr ] || mv /opt/bjr /opt/bjr.old
mv "$work/app" /opt/bjr
rm -rf /opt/bjr.old
install -m 0644 "$work/npm.cdx.json" /usr/share/bjr/npm.cdx.json

apt-mark auto nodejs npm > /dev/null
apt-get -y -qq autoremove --purge
