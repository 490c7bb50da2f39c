# Sourced by bin/dev, bin/test and .ci/run: makes sure of Node's packages and puts the project's own Node first.
cd "$(dirname "${BASH_SOURCE[0]}")/.."

missing() {
  echo "BJR needs $1 to set itself up, and this machine has none." >&2
  echo "  Debian, Ubuntu:  sudo apt-get install nodejs npm" >&2
  echo "  Fedora, RHEL:    sudo dnf install nodejs npm" >&2
  echo "  macOS:           brew install node" >&2
  echo "Any Node from 18 will do: the one that BJR runs on comes with its packages." >&2
  exit 1
}
command -v node >/dev/null || missing "Node.js"
command -v npm >/dev/null || missing "npm"

# The stamp is written last, so an installation that was cut off is done again. One installs at a time.
stamp=node_modules/.installed
is_installed() { [ -f "$stamp" ] && cmp -s package-lock.json "$stamp"; }
if ! is_installed; then
  mkdir -p .bjr
  lock=.bjr/npm.lock
  until (set -C; echo $$ > "$lock") 2>/dev/null; do
    holder=$(cat "$lock" 2>/dev/null || true)
    if [ -n "$holder" ] && kill -0 "$holder" 2>/dev/null; then
      [ -n "${told:-}" ] || echo "Waiting for process $holder, which is installing the packages …" >&2
      told=1
      sleep 0.5
    else
      rm -f "$lock"
    fi
  done
  trap 'rm -f "$lock"' EXIT
  if ! is_installed; then
    echo "Installing the packages (once; about a minute) …" >&2
    # By the lock file, but not `npm ci`, which refuses one that lacks the optional packages of other platforms: not every
    # registry has them all. The machine's own Node may be older than what the packages ask for: they run on npm's.
    npm install --no-save --no-audit --no-fund --loglevel=error >&2
    cp package-lock.json "$stamp"
  fi
  rm -f "$lock"
  trap - EXIT
fi
export PATH="$PWD/node_modules/.bin:$PATH"
# Node keeps what it has compiled: each further start takes a third of a second less of processor time.
export NODE_COMPILE_CACHE="${NODE_COMPILE_CACHE:-$PWD/.bjr/compile-cache}"
