#!/bin/bash
# Runs backup_folder and restore_folder beside restic against one S3 server on loopback, with a delay added to each
# request, and counts requests and bytes of each step.
# usage: MUTATE=mutate.py [DELAY=50] s3.sh WORKDIR EXAMPLES
# WORKDIR/data is the data set, EXAMPLES the folder of the examples built with --release --features s3, and MUTATE a
# script that changes about 1% of the folder it is given. Needs moto_server (pip install 'moto[server]'), restic,
# curl, python3, bc and GNU time.
set -u
here=$(cd "$(dirname "$0")" && pwd)
cd "${1:?a scratch folder with the data set in data/}" || exit 1
bin=$(cd "${2:?the folder of the examples}" && pwd) || exit 1
delay=${DELAY:-50} server=${SERVER_PORT:-5966} proxy=${PROXY_PORT:-5967}
rm -rf work out_* cache* key; cp -a data work
head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n' > key; chmod 600 key
export CLOUDRON_BACKUP_KEY_FILE=$PWD/key RESTIC_PASSWORD=x RESTIC_CACHE_DIR=$PWD/cache_restic
export AWS_ACCESS_KEY_ID=id AWS_SECRET_ACCESS_KEY=secret AWS_REGION=us-east-1 AWS_ENDPOINT_URL=http://127.0.0.1:$proxy
moto_server -H 127.0.0.1 -p "$server" > moto.log 2>&1 & moto=$!
python3 "$here/s3_proxy.py" "$proxy" "$server" "$delay" > proxy.log 2>&1 & counter=$!
trap 'kill $moto $counter' EXIT
count() { curl -s "http://127.0.0.1:$proxy/__count"; }
for _ in $(seq 100); do
  curl -s -o /dev/null -X PUT -H 'Authorization: AWS4-HMAC-SHA256 Credential=id/20260101/us-east-1/s3/aws4_request' \
    "http://127.0.0.1:$proxy/bench" && curl -sf -o /dev/null "http://127.0.0.1:$server/" && break; sleep 0.2
done
row() { local tool=$1 step=$2 rc w u s m; shift 2; count > /dev/null
  /usr/bin/time -o .time -f '%e %U %S %M' "$@" > .log 2>&1; rc=$?; read -r w u s m < <(tail -1 .time)
  [ $rc = 0 ] || { echo "$tool $step failed:"; cat .log; }
  printf '| %s | %s | %.2f | %.2f | %d | %s |\n' "$tool" "$step" "$w" "$(echo "$u+$s" | bc)" $((m / 1024)) "$(count)"; }
restic_repo="s3:http://127.0.0.1:$proxy/bench/restic"
printf '| tool | step | wall s | cpu s | peak MB | requests | of which | MB up | MB down |\n|---|---|---|---|---|---|---|---|---|\n'
row restic init restic -q -r "$restic_repo" init
for step in first same changed; do
  [ $step = changed ] && python3 "${MUTATE:?a script that changes about 1%}" work
  [ $step = first ] || sleep 3
  row restic $step restic -q -r "$restic_repo" backup work
  row ours $step "$bin/backup_folder" s3://bench/ours "$PWD/work" "$PWD/cache_ours"
done
row restic restore restic -q -r "$restic_repo" restore latest --target out_restic
row ours restore "$bin/restore_folder" s3://bench/ours "$PWD/out_ours" --no-compare
diff -r work "out_ours$PWD/work" > /dev/null && echo 'ours: the restored tree is identical' || echo 'ours: THE RESTORED TREE DIFFERS'
