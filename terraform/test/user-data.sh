#!/usr/bin/env bash
# Renders the user data with sample values and runs it as root in a root of its own: in ROOT, where one is given (an image's:
# it has the group bjr), or else in a scratch one over this machine's programs.
#
#   terraform/test/user-data.sh [ROOT]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
terraform=${TERRAFORM:-terraform}
if [ "$(id -u)" != 0 ]; then echo "Run this as root: it enters a root and gives a file away" >&2; exit 1; fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir "$work/empty"
cat > "$work/expected" <<'END'
AWS_REGION=eu-central-1
BJR_DATABASE_HOST=bjr.abc.eu-central-1.rds.amazonaws.com
BJR_SECRET_ID=arn:aws:secretsmanager:eu-central-1:123456789012:secret:bjr-AbCdEf
JOB_PATH=/usr/bin:/bin:/opt/a folder/bin
REDIS_TLS=true
END
settings=$(sed 's/\([^=]*\)=\(.*\)/\1 = "\2",/' "$work/expected" | tr -d '\n')
rendered=$(TF_CLI_CONFIG_FILE='' "$terraform" -chdir="$work/empty" console \
  <<< "base64encode(templatefile(\"$here/user-data.sh.tftpl\", { settings = { $settings } }))")
tr -d '"' <<< "$rendered" | base64 -d > "$work/user-data.sh"
bash -n "$work/user-data.sh"

root=${1:-}
if [ -z "$root" ]; then
  root=$work/root
  mkdir -p "$root"/{etc/bjr,tmp,usr}
  for link in bin sbin lib lib64; do [ -e "/$link" ] && ln -s "usr/$link" "$root/$link"; done
  echo 'root:x:0:0::/root:/bin/bash' > "$root/etc/passwd"
  printf 'root:x:0:\nbjr:x:990:\n' > "$root/etc/group"
fi
install -m 0755 "$work/user-data.sh" "$root/tmp/user-data.sh"
# Twice: cloud-init may run it again.
for _ in 1 2; do
  if [ -n "${1:-}" ]; then chroot "$root" /tmp/user-data.sh
  # The mount is this process's own and ends with it.
  else unshare --mount bash -c 'mount --rbind -o ro /usr "$0/usr" && exec chroot "$0" /tmp/user-data.sh' "$root"; fi
done
rm "$root/tmp/user-data.sh"

written=$root/etc/bjr/instance.env
diff -u "$work/expected" "$written"
group=$(awk -F: '$1 == "bjr" { print $3 }' "$root/etc/group")
[ "$(stat -c '%a %u %g' "$written")" = "640 0 $group" ] || { echo "wrong mode or owner: $(stat -c '%a %u %g' "$written")" >&2; exit 1; }
[ "$(ls "$root/etc/bjr" | grep -c 'instance.env')" = 1 ] || { echo "something was left beside instance.env" >&2; exit 1; }
echo "The user data writes /etc/bjr/instance.env (0640 root:bjr), $(grep -c '' "$written") lines, as given"
