#!/bin/bash
# Times backup_folder and restore_folder beside restic, borg and tar | zstd | age on the same data in the same run,
# and prints tables in Markdown: what each took, and ours in relation to the others.
# usage: MUTATE=mutate.py compare.sh WORKDIR EXAMPLES
# WORKDIR/data is the data set, EXAMPLES the folder of the examples built with --release, and MUTATE a script that
# changes about 1% of the folder it is given. Tools that are not installed are left out. Needs python3, bc and GNU
# time. ROUNDS=n repeats everything n times; the tables have the medians.
set -u
cd "${1:?a scratch folder with the data set in data/}" || exit 1
bin=$(cd "${2:?the folder of the examples}" && pwd) || exit 1
: "${MUTATE:?a script that changes about 1%}"
W=$PWD
export CLOUDRON_BACKUP_KEY_FILE=$W/key CLOUDRON_WORK_FACTOR=15 RESTIC_PASSWORD=x RESTIC_CACHE_DIR=$W/cache_restic BORG_PASSPHRASE=x
export BORG_BASE_DIR=$W/cache_borg BORG_RELOCATED_REPO_ACCESS_IS_OK=yes
tools=(ours)
for tool in restic borg; do command -v $tool > /dev/null && tools+=($tool); done
command -v age > /dev/null && command -v zstd > /dev/null && tools+=(tarage)

run() { # TOOL STEP
  case $1-$2 in
    ours-restore) "$bin/restore_folder" repo_ours "$W/out_ours" --no-compare ;;
    ours-proved) "$bin/restore_folder" repo_ours "$W/out_proved" ;;
    ours-*) "$bin/backup_folder" repo_ours "$W/work" "$W/cache_ours" ;;
    restic-restore) restic -q -r repo_restic restore latest --target out_restic ;;
    restic-*) restic -q -r repo_restic backup work ;;
    borg-restore) mkdir -p out_borg; cd out_borg && borg extract ../repo_borg::changed ;;
    borg-*) borg create -C zstd,3 "repo_borg::$2" work ;;
    tarage-restore) mkdir -p out_tarage
      age -d -i age.key repo_tarage/changed.tar.zst.age | zstd -q -d | tar xf - -C out_tarage ;;
    tarage-*) tar cf - work | zstd -q -3 -T2 | age -r "$(grep -o 'age1[a-z0-9]*' age.key)" > "repo_tarage/$2.tar.zst.age" ;;
  esac
}
export -f run; export bin W
row() { # TOOL STEP
  local rc w u s m
  sync
  /usr/bin/time -o .time -f '%e %U %S %M' bash -c "set -o pipefail; run $1 $2" > ".log-$1-$2" 2>&1; rc=$?
  [ $rc = 0 ] || { echo "$1 $2 failed with $rc:"; tail -3 ".log-$1-$2"; exit 1; } >&2
  read -r w u s m < <(tail -1 .time)
  echo "$1 $2 $w $(echo "$u+$s" | bc) $((m / 1024)) $(du -sm "repo_$1" | cut -f1)" >> .rows
}
round() {
  rm -rf work repo_* out_* cache_* key age.key; cp -a data work; mkdir -p repo_tarage
  head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n' > key; chmod 600 key
  [[ ${tools[*]} == *restic* ]] && restic -q -r repo_restic init
  [[ ${tools[*]} == *borg* ]] && borg init -e repokey-blake2 repo_borg 2> /dev/null
  [[ ${tools[*]} == *tarage* ]] && age-keygen -o age.key 2> /dev/null
  sleep 3
  for step in first same changed; do
    [ $step = changed ] && { python3 "$MUTATE" work; sleep 3; }
    for tool in "${tools[@]}"; do row "$tool" $step; done
  done
  for tool in "${tools[@]}"; do row "$tool" restore; done
  row ours proved
  diff -r work "out_ours$W/work" > /dev/null && diff -r work "out_proved$W/work" > /dev/null ||
    { echo 'ours: THE RESTORED TREE DIFFERS' >&2; exit 1; }
}
: > .rows
for _ in $(seq "${ROUNDS:-1}"); do round || exit 1; done
python3 - "${tools[@]}" << 'PYTHON'
import statistics, sys
rows = {}
for line in open(".rows"):
    tool, step, *numbers = line.split()
    rows.setdefault((tool, step), []).append([float(n) for n in numbers])
median = {key: [statistics.median(column) for column in zip(*found)] for key, found in rows.items()}
print("| tool | step | wall s | cpu s | peak MB | repository MB |\n|---|---|---|---|---|---|")
for (tool, step), (wall, cpu, peak, size) in sorted(median.items(), key=lambda item: list(rows).index(item[0])):
    print(f"| {tool} | {step} | {wall:.2f} | {cpu:.2f} | {peak:.0f} | {size:.0f} |")
print("\n| ours / other, wall (cpu) | " + " | ".join(sys.argv[2:]) + " |\n|---" * 1 + "|---" * (len(sys.argv) - 2) + "|")
for step in ("first", "same", "changed", "restore"):
    ours = median["ours", step]
    cells = [f"{ours[0] / median[t, step][0]:.2f} ({ours[1] / median[t, step][1]:.2f})" for t in sys.argv[2:]]
    print(f"| {step} | " + " | ".join(cells) + " |")
print("\nBoth restored trees are identical to the source.")
PYTHON
