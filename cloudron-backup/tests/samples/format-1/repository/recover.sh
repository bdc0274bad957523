#!/bin/sh
# Gets one file out of this repository with nothing but a POSIX shell, Debian's age and zstd, and what every
# Debian has: awk, sed, tr, od, head, tail, sort, base64, sha256sum, truncate, mktemp.
#
# usage: sh recover.sh ID|latest                list what is in a backup
#        sh recover.sh ID|latest PATH OUTPUT    write the file PATH of the backup to OUTPUT
#
# Run it in a copy of the repository: the folder that holds cloudron-backup.json. age asks for the backup key in
# the terminal. A paper key is given in a file instead, which CLOUDRON_IDENTITY_FILE names. In a list, names are
# written as in JSON, and in base64 where they are not UTF-8; PATH is the name as it is.
#
# It checks the SHA-256 of everything that it reads and of the file. It checks no signatures: cloudron does.
# For all of a backup there is recover.py. Format: docs/backup-format.md.
set -eu
umask 077
LC_ALL=C
export LC_ALL

stop() {
    printf 'recover.sh: %s\n' "$1" >&2
    exit 1
}

usage() {
    sed -n '/^# usage/,/^#$/s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

hash_of() {
    hash=$(sha256sum <"$1")
    printf '%s' "${hash%% *}"
}

case $# in 1 | 3) ;; *) usage ;; esac
case $1 in -*) usage ;; esac
for tool in age zstd awk sed tr od head tail sort base64 sha256sum truncate mktemp; do
    command -v "$tool" >/dev/null || stop "$tool is missing; on Debian: apt install age zstd coreutils"
done

repo=$(dirname -- "$0")
config=$repo/cloudron-backup.json
[ -f "$config" ] || stop "$repo is no repository: cloudron-backup.json is missing"
grep -q '"format": *"cloudron-backup"' "$config" && grep -q '"version": *1 *,\{0,1\} *$' "$config" ||
    stop 'cloudron-backup.json has a format that this program does not know'
! grep -q '"encryption"' "$config" ||
    stop 'this repository is not encrypted with plain age, and opens with the program that made it only'

# --- the backup ------------------------------------------------------------------------------------------

# What a prune put in the place of a backup that died is none.
backups() {
    for file in "$repo"/snapshots/*.json; do
        [ -f "$file" ] || continue
        grep -q '"aborted": *true' "$file" && continue
        name=${file##*/}
        printf '%s\n' "${name%.json}"
    done
}

# Of the backups of each origin the one with the highest number, and of these the one with the latest time.
newest() {
    backups | while read -r name; do
        time=$(printf '%s\n' "$name" | sed -n 's/^.*_\([0-9-]*T[0-9-]*Z\)_.*$/\1/p')
        made=$(sed -n '/^ *"origin": *{/,/}/p' "$repo/snapshots/$name.json")
        [ -n "$made" ] || made=$(cat "$repo/snapshots/$name.json")
        of=$(printf '%s\n' "$made" | sed -n 's/^ *"repository": *"\([0-9a-f]*\)".*/\1/p' | head -n 1)
        number=$(printf '%s\n' "$made" | sed -n 's/^ *"sequence": *\([0-9][0-9]*\).*/\1/p' | head -n 1)
        [ -z "$time" ] || [ -z "$number" ] || printf '%s %s %s %s\n' "${of:-import}" "$number" "$time" "$name"
    done | sort -k 1,1 -k 2,2n -k 3 | awk '{ last[$1] = $3 " " $4 } END { for (of in last) print last[of] }' |
        sort | tail -n 1 | sed 's/^[^ ]* //'
}

id=$1
if [ "$id" = latest ]; then
    id=$(newest)
    [ -n "$id" ] || stop 'there is no backup here'
fi
backups | grep -Fxq -- "$id" || stop "there is no backup $id; there are: $(backups | tr '\n' ' ')"
summary=$repo/snapshots/$id.json
manifest=$repo/snapshots/$id.age
repository=$(sed -n 's/^ *"id": *"\([0-9a-f]*\)".*/\1/p' "$config" | head -n 1)
grep -q "\"repository\": *\"$repository\"" "$summary" && grep -Fq "\"id\": \"$id\"" "$summary" ||
    stop "the summary of $id is that of another backup"
expected=$(sed -n '/"manifest"/,/}/s/.*"sha256": *"\([0-9a-f]*\)".*/\1/p' "$summary" | head -n 1)
[ -f "$manifest" ] && [ "$(hash_of "$manifest")" = "$expected" ] ||
    stop "the manifest of $id is missing or damaged; try another backup"

# --- the key ---------------------------------------------------------------------------------------------

work=$(mktemp -d)
# The identity is in memory where that is possible.
if [ -d /dev/shm ] && [ -w /dev/shm ]; then secret=$(mktemp -d /dev/shm/recover.XXXXXX); else secret=$(mktemp -d); fi
partial=
trap 'rm -rf "$work" "$secret"; [ -z "$partial" ] || rm -f "$partial"' EXIT
trap 'exit 1' HUP INT TERM
identity=$secret/identity

recipient=$(sed -n '/"data"/,/\]/s/.*"\(age1[a-z0-9]*\)".*/\1/p' "$config" | head -n 1)
opened() { grep -q "^# public key: $recipient\$" "$identity"; }

unlock() {
    for key in "$repo"/keys/*.age; do
        [ -f "$key" ] || continue
        kind=$(head -n 2 "$key" | tail -n 1 | cut -d ' ' -f 2)
        if [ -n "${CLOUDRON_IDENTITY_FILE-}" ]; then
            [ "$kind" = X25519 ] || continue
            age -d -i "$CLOUDRON_IDENTITY_FILE" "$key" >"$identity" 2>/dev/null && opened && return
        elif [ "$kind" = scrypt ]; then
            printf 'Opening %s with the backup key.\n' "${key##*/}" >&2
            age -d "$key" >"$identity" && opened && return
        fi
    done
    [ -n "${CLOUDRON_IDENTITY_FILE-}" ] || stop 'the backup key does not open this repository'
    # It may be the identity of the repository itself.
    cat -- "$CLOUDRON_IDENTITY_FILE" >"$identity"
}

unlock
lines() { age -d -i "$identity" "$1" | zstd -dcq; }
lines "$manifest" 2>/dev/null | head -n 1 | grep -Fq "\"id\":\"$id\"" ||
    stop 'the key does not open this backup, or the manifest is that of another one'

if [ $# -eq 1 ]; then
    lines "$manifest" | sed -nE 's/^\{"type":"([a-z]+)","path(64)?":"(([^"\\]|\\.)*)".*$/\1 \3/p'
    exit
fi

# --- the file --------------------------------------------------------------------------------------------

output=$3
case $output in /*) ;; *) output=./$output ;; esac
if [ -e "$output" ] || [ -L "$output" ]; then stop "$3 exists already, and is kept"; fi

# A text as JSON writes it.
json() {
    printf '%s' "$1" | od -An -v -tu1 | tr -s ' ' '\n' | awk '
        $1 == "" { next }
        $1 == 34 || $1 == 92 { printf "\\%c", $1 + 0; next }
        $1 == 8 { printf "\\b"; next }
        $1 == 9 { printf "\\t"; next }
        $1 == 10 { printf "\\n"; next }
        $1 == 12 { printf "\\f"; next }
        $1 == 13 { printf "\\r"; next }
        $1 < 32 { printf "\\u%04x", $1; next }
        { printf "%c", $1 + 0 }'
}

# The lines of the manifest for an entry: PATH as JSON writes it, PATH in base64.
entry() {
    lines "$manifest" | PLAIN="\"path\":\"$1\"," ENCODED="\"path64\":\"$2\"," awk '
        more > 0 { print; more--; next }
        {
            start = index($0, ",") + 1
            if (substr($0, 1, 9) != "{\"type\":\"") next
            rest = substr($0, start, length(ENVIRON["PLAIN"]) + length(ENVIRON["ENCODED"]))
            if (index(rest, ENVIRON["PLAIN"]) != 1 && index(rest, ENVIRON["ENCODED"]) != 1) next
            print
            if (match($0, /"more":[0-9]+/)) more = substr($0, RSTART + 7, RLENGTH - 7) + 0
        }' >"$work/entry"
    type=$(sed -n '1s/^{"type":"\([a-z]*\)".*/\1/p' "$work/entry")
}

# A member of the entry that is a text, as JSON writes it.
text() { sed -nE "1s/^.*\"$1\":\"(([^\"\\\\]|\\\\.)*)\".*\$/\\1/p" "$work/entry"; }

entry "$(json "$2")" "$(printf '%s' "$2" | base64 -w 0)"
# A further name of a file leads to its first one.
[ "$type" != hardlink ] || entry "$(text target)" "$(text target64)"
case $type in
file) ;;
'') stop "$2 is not in $id" ;;
symlink) stop "$2 is a symbolic link to $(text target)$(text target64)" ;;
*) stop "$2 is no regular file, but of the type $type" ;;
esac
expected=$(text sha256)

# Its extents: chunk, length, offset in the chunk. A hole has no chunk.
sed -n 's/^.*"extents":\[//p' "$work/entry" | sed 's/\]\].*//' | tr ']' '\n' | tr -d '["' | sed 's/^,//' |
    awk -F , 'NF > 1 { print $1, $2, $3 + 0 }' >"$work/extents"
awk '$1 != "null" { print $1 }' "$work/extents" | sort -u >"$work/wanted"

# Where the chunks are: chunk, pack, offset, length, length of the chunk. Packs that are on their way out come
# last.
if [ -s "$work/wanted" ]; then
    for object in "$repo"/index/*.age "$repo"/condemned/*.age; do
        [ -f "$object" ] || continue
        name=${object##*/}
        if [ "$(hash_of "$object").age" != "$name" ]; then
            printf '%s is damaged and not used\n' "$name" >&2
            continue
        fi
        lines "$object" | tr '[' '\n' | awk '
            FNR == NR { wanted[$1] = 1; next }
            match($0, /^\{"pack":"[0-9a-f]+/) { pack = substr($0, 10, RLENGTH - 9); next }
            substr($0, 1, 1) == "\"" && substr($0, 2, 64) in wanted {
                split(substr($0, 68), place, /[],]/)
                print substr($0, 2, 64), pack, place[1], place[2], place[3]
            }' "$work/wanted" -
    done >"$work/found"
    # Of several places, the first whose pack is there.
    while read -r chunk pack place; do
        [ ! -f "$repo/packs/$(printf '%.2s' "$pack")/$pack.age" ] || printf '%s %s %s\n' "$chunk" "$pack" "$place"
    done <"$work/found" >"$work/there"
fi

if [ -s "$work/wanted" ] && [ ! -s "$work/there" ]; then stop 'no pack with the content of the file is there'; fi
[ -f "$work/there" ] || : >"$work/there"
awk '
    FILENAME == ARGV[1] { if (!($1 in place)) place[$1] = $2 " " $3 " " $4; next }
    $1 == "null" { print "hole", $2; next }
    !($1 in place) { print "missing", $1; next }
    { print place[$1], $2, $3 }' "$work/there" "$work/extents" >"$work/plan"
if missing=$(grep '^missing ' "$work/plan"); then stop "the content is not whole: chunk ${missing##* } is missing"; fi

partial=$(mktemp "$(dirname -- "$output")/.recover.XXXXXX")
last_pack=
last_chunk=
while read -r pack offset length size start; do
    if [ "$pack" = hole ]; then
        truncate -s "+$offset" "$partial"
        continue
    fi
    if [ "$pack" != "$last_pack" ]; then
        object=$repo/packs/$(printf '%.2s' "$pack")/$pack.age
        [ "$(hash_of "$object")" = "$pack" ] || stop "packs/*/$pack.age does not have the hash that it is named by"
        age -d -i "$identity" "$object" >"$work/pack" || stop "packs/*/$pack.age cannot be decrypted"
        last_pack=$pack
    fi
    if [ "$pack $offset" != "$last_chunk" ]; then
        tail -c "+$((offset + 1))" "$work/pack" | head -c "$length" | zstd -dcq >"$work/chunk" ||
            stop "a chunk in packs/*/$pack.age does not decompress"
        last_chunk="$pack $offset"
    fi
    tail -c "+$((start + 1))" "$work/chunk" | head -c "$size" >>"$partial"
done <"$work/plan"

[ "$(hash_of "$partial")" = "$expected" ] || stop "the content does not have the hash that the manifest says"
if [ -e "$output" ] || [ -L "$output" ]; then stop "$3 exists already, and is kept"; fi
mv -- "$partial" "$output"
partial=
printf '%s of %s is in %s, its hash is checked\n' "$2" "$id" "$3" >&2
