#!/usr/bin/env bash
# The life cycle of a server on this computer: created, backed up, lost and restored.
# Run it: examples/session.sh [PATH OF THE PROGRAM]   (default: target/release/cloudron)
set -euo pipefail
program=$(realpath "${1:-target/release/cloudron}")
work=$(mktemp -d)
# A separate home, so that your own files are not touched.
export HOME=$work XDG_STATE_HOME=$work/state XDG_DATA_HOME=$work/data
trap '"$program" machine destroy demo.localhost --delete-backups --yes >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
cd "$work"

(umask 077 && head -c 30 /dev/urandom | base64 > key)
export CLOUDRON_BACKUP_KEY_FILE=$work/key
mkdir photos && head -c 1000000 /dev/urandom > photos/today.jpg && cp photos/today.jpg kept.jpg

"$program" machine create local --fqdn demo.localhost --include "$work/photos"
"$program" machine status demo.localhost
"$program" machine backup create demo.localhost
"$program" machine backup list demo.localhost
"$program" machine backup list demo.localhost --store "$work/data/cloudron/backups/demo.localhost" --output json
"$program" machine backup download demo.localhost latest --decrypt -o x.tar
tar -tf x.tar | grep today.jpg
"$program" machine eventlog demo.localhost
"$program" machine logs demo.localhost --lines 5

"$program" machine destroy demo.localhost --yes
rm -r photos
"$program" machine create local --fqdn demo.localhost --backup latest --restore-path "$work/photos"
cmp photos/today.jpg kept.jpg
echo 'Everything is back, byte for byte.'
