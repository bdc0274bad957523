#!/bin/bash
# Times backup_folder and restore_folder beside restic on the same data in the same run.
# usage: MUTATE=mutate.py compare.sh WORKDIR EXAMPLES
# WORKDIR/data is the data set, EXAMPLES the folder of the examples built with --release, and MUTATE a script that
# changes about 1% of the folder it is given. Needs restic, python3, bc and GNU time.
set -u
cd "${1:?a scratch folder with the data set in data/}" || exit 1
bin=$(cd "${2:?the folder of the examples}" && pwd) || exit 1
rm -rf work repo_* out_* cache* key; cp -a data work
head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n' > key; chmod 600 key
export CLOUDRON_BACKUP_KEY_FILE=$PWD/key RESTIC_PASSWORD=x RESTIC_CACHE_DIR=$PWD/cache_restic
restic -q -r repo_restic init
row() { local tool=$1 step=$2 rc w u s m; shift 2; sync
  /usr/bin/time -o .time -f '%e %U %S %M' "$@" > .log 2>&1; rc=$?; read -r w u s m < <(tail -1 .time)
  printf '| %-8s | %-8s | %6.2f | %6.2f | %4d | %5s | %d |\n' "$tool" "$step" "$w" "$(echo "$u+$s" | bc)" $((m / 1024)) "$(du -sm "repo_$tool" | cut -f1)" $rc; }
printf '| tool | step | wall s | cpu s | peak MB | repository MB | exit |\n|---|---|---|---|---|---|---|\n'
for step in first same changed; do
  [ $step = changed ] && python3 "${MUTATE:?a script that changes about 1%}" work
  [ $step = first ] || sleep 3
  row restic $step restic -q -r repo_restic backup work
  row ours $step "$bin/backup_folder" repo_ours "$PWD/work" "$PWD/cache_ours"
done
row restic restore restic -q -r repo_restic restore latest --target out_restic
row ours restore "$bin/restore_folder" repo_ours "$PWD/out_ours" --no-compare
row ours proved "$bin/restore_folder" repo_ours "$PWD/out_ours"
diff -r work "out_ours$PWD/work" > /dev/null && echo 'ours: the restored tree is identical' || echo 'ours: THE RESTORED TREE DIFFERS'
