#!/usr/bin/env bash
# How long a person waits: `--help`, and a local machine from nothing to healthy, new and restored.
# usage: benches/start.sh [PROGRAM] [ROUNDS]     (default: target/release/cloudron, 5)
set -euo pipefail
program=$(realpath "${1:-target/release/cloudron}"); rounds=${2:-5}
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
export HOME=$work XDG_STATE_HOME=$work/state XDG_DATA_HOME=$work/data
echo 'a key for the benchmark' > "$work/key"
export CLOUDRON_BACKUP_KEY_FILE=$work/key

row() { # NAME COMMAND...: the fastest, the median and the slowest of the rounds, in milliseconds
    local name=$1 times=() start; shift
    for ((n = 0; n < rounds; n++)); do
        prepare; start=$(date +%s%N); "$@" >/dev/null 2>&1; times+=($((($(date +%s%N) - start) / 1000000)))
    done
    mapfile -t times < <(printf '%s\n' "${times[@]}" | sort -n)
    printf '| %s | %s | %s | %s |\n' "$name" "${times[0]}" "${times[rounds / 2]}" "${times[rounds - 1]}"
}
prepare() { :; }

echo '| what | fastest ms | median ms | slowest ms |'
echo '|---|---|---|---|'
row '`cloudron --help`' "$program" --help
prepare() { "$program" machine destroy demo.localhost --delete-backups --yes >/dev/null 2>&1 || true; }
row '`machine create local` to healthy' "$program" machine create local --fqdn demo.localhost
prepare() { :; }
row '`machine status`' "$program" machine status demo.localhost
"$program" machine backup create demo.localhost >/dev/null 2>&1
prepare() { "$program" machine destroy demo.localhost --yes >/dev/null 2>&1 || true; }
row '`machine create local --backup latest` to healthy' "$program" machine create local --fqdn demo.localhost --backup latest
"$program" machine destroy demo.localhost --delete-backups --yes >/dev/null 2>&1
