#!/usr/bin/env bash
# Amazon's agent for a shell without SSH. Debian has no package of it: it comes from where the variables say, and only if its
# digest is the one that they name.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
[ -n "${SSM_AGENT_URL:-}" ] || { echo "No SSM agent is asked for"; exit 0; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
curl --fail --silent --show-error --location --output "$work/agent.deb" "$SSM_AGENT_URL"
echo "${SSM_AGENT_SHA256:?}  $work/agent.deb" | sha256sum --check --quiet
dpkg -i "$work/agent.deb"
systemctl enable amazon-ssm-agent.service
