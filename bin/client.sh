# Sourced by bin/backup and bin/restore: the database's client programs, with the account from the settings.
host=${BJR_DATABASE_HOST:-127.0.0.1}
port=${BJR_DATABASE_PORT:-3306}
user=${BJR_DATABASE_USERNAME:-root}
database=${BJR_DATABASE:-bjr_${NODE_ENV:-development}}

# The first of these programs that is here.
find_program() {
  for name in "$@"; do
    if command -v "$name"; then return; fi
  done
  echo "None of these programs is here: $*. Debian, Ubuntu: sudo apt-get install default-mysql-client" >&2
  return 1
}

# A file of options, for its owner only: a password on the command line is one that everybody on the machine sees.
options=$(mktemp)
trap 'rm -f "$options"' EXIT
{
  printf '[client]\nhost="%s"\nport="%s"\nuser="%s"\nprotocol=tcp\n' "$host" "$port" "$user"
  if [ -n "${BJR_DATABASE_PASSWORD:-}" ]; then
    escaped=${BJR_DATABASE_PASSWORD//\\/\\\\}
    printf 'password="%s"\n' "${escaped//\"/\\\"}"
  fi
} >"$options"

# What BJR_DATABASE_TLS means to a program, MySQL's or MariaDB's; without it no certificate is looked at, as BJR does.
add_encryption() {
  local ca=${BJR_DATABASE_TLS_CA:-/etc/ssl/certs/ca-certificates.crt} is_mysqls=
  # Not grep -q: it leaves early, and the program dies of the closed pipe.
  if "$1" --help 2>/dev/null | grep -- '--ssl-mode=' >/dev/null; then is_mysqls=1; fi
  case ${BJR_DATABASE_TLS:-off} in
    on | true)
      printf 'ssl-ca="%s"\n' "$(realpath "$ca")"
      if [ -n "$is_mysqls" ]; then echo ssl-mode=VERIFY_IDENTITY; else printf 'ssl\nssl-verify-server-cert\n'; fi
      ;;
    *) if [ -z "$is_mysqls" ]; then echo skip-ssl-verify-server-cert; fi ;;
  esac >>"$options"
}
