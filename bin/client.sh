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
