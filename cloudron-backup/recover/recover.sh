#!/bin/sh
# Gets one file out of this repository with nothing but a POSIX shell, Debian's age and zstd, and what every
# Debian has: awk, sed, tr, od, head, tail, sort, wc, fold, date, base64, sha256sum, truncate, mktemp.
#
# usage: sh recover.sh ID|latest                list what is in a backup
#        sh recover.sh ID|latest PATH OUTPUT    write the file PATH of the backup to OUTPUT
#
# Run it in a copy of the repository: the folder that holds cloudron-backup.json. age asks for the backup key in
# the terminal. A paper key is given in a file instead, which CLOUDRON_IDENTITY_FILE names. In a list, names are
# written as in JSON, and in base64 where they are not UTF-8; PATH is the name as it is.
#
# It checks the SHA-256 of everything that it reads and of the file. It checks NO signatures: a backup that somebody
# else put into the store is listed and read like any other. cloudron and recover.py check them. For all of a backup
# there is recover.py. Format: docs/backup-format.md.
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
for tool in age zstd awk sed tr od head tail sort wc fold date base64 sha256sum truncate mktemp; do
    command -v "$tool" >/dev/null || stop "$tool is missing; on Debian: apt install age zstd coreutils"
done

repo=$(dirname -- "$0")
# Whether a file is there and has so many bytes at most. What is larger is none of ours.
fits() { [ -f "$1" ] && [ "$(wc -c <"$1")" -le "$2" ]; }

config=$repo/cloudron-backup.json
if ! fits "$config" 1048576 || ! grep -q '"format": *"cloudron-backup"' "$config"; then
    printf 'cloudron-backup.json is missing or damaged; ' >&2
    if fits "$repo/copies/cloudron-backup.json" 1048576; then
        config=$repo/copies/cloudron-backup.json
        printf 'the copy in copies/ is used. `cloudron backup repair` puts it back.\n' >&2
    else
        config=/dev/null
        [ -d "$repo/snapshots" ] || stop "$repo is no repository"
        printf 'it goes without. Fetch it from another copy of the repository before cloudron is used again.\n' >&2
    fi
fi
if [ "$config" != /dev/null ]; then
    grep -q '"version": *[12] *,\{0,1\} *$' "$config" ||
        stop 'cloudron-backup.json has a format that this program does not know: take a newer recover.sh'
    ! grep -q '"encryption"' "$config" ||
        stop 'this repository is not encrypted with plain age, and opens with the program that made it only'
fi
printf 'Signatures are not checked: whoever can write to the store can have put a backup here.\n' >&2

# --- the backup ------------------------------------------------------------------------------------------

# What a prune put in the place of a backup that died is none.
backups() {
    for file in "$repo"/snapshots/*.json; do
        fits "$file" 1048576 || continue
        grep -q '"aborted": *true' "$file" && continue
        name=${file##*/}
        printf '%s\n' "${name%.json}"
    done
}

# Of the backups of each writer and origin the one with the highest number; among these the one whose writer has the
# latest time that is not in the future.
newest() {
    now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
    backups | while read -r name; do
        file=$repo/snapshots/$name.json
        time=$(sed -n 's/^  "time": *"\([0-9T:Z-]*\)".*/\1/p' "$file" | head -n 1)
        made=$(sed -n '/^ *"origin": *{/,/}/p' "$file")
        of=$(printf '%s\n' "$made" | sed -n 's/^ *"\(repository\|writer\)": *"\([0-9a-f]*\)".*/\2/p' | tr '\n' '-')
        if [ -z "$made" ]; then
            made=$(cat "$file")
            of=here-$(sed -n '/^ *"certificate": *{/,/^  }/s/^ *"key": *"\([0-9a-f]*\)".*/\1/p' "$file" | head -n 1)
        fi
        number=$(printf '%s\n' "$made" | sed -n 's/^ *"sequence": *\([0-9][0-9]*\).*/\1/p' | head -n 1)
        [ -z "$number" ] || printf '%s %s %s %s\n' "${of:-import}" "$number" "$name" "${time:--}"
    done | sort -k 1,1 -k 2,2n -k 3 | awk -v now="$now" '
        { last[$1] = $3; if ($4 <= now && $4 > time[$1]) time[$1] = $4 }
        END { for (of in last) print (of in time ? time[of] : "-"), last[of] }' | sort | tail -n 1 | sed 's/^[^ ]* //'
}

id=$1
if [ "$id" = latest ]; then
    id=$(newest)
    [ -n "$id" ] || stop 'there is no backup here'
fi
backups | grep -Fxq -- "$id" || stop "there is no backup $id; there are: $(backups | tr '\n' ' ')"
summary=$repo/snapshots/$id.json
grep -Fq "\"id\": \"$id\"" "$summary" || stop "the summary of $id is that of another backup"
if [ "$config" != /dev/null ]; then
    repository=$(sed -n 's/^ *"id": *"\([0-9a-f]*\)".*/\1/p' "$config" | head -n 1)
    grep -q "\"repository\": *\"$repository\"" "$summary" || stop "the summary of $id is that of another repository"
fi
expected=$(sed -n '/"manifest"/,/}/s/.*"sha256": *"\([0-9a-f]\{64\}\)".*/\1/p' "$summary" | head -n 1)
# Since format 2 a manifest is named by its hash, and a backup whose place was taken has a number behind its id.
case $(sed -n 's/^ *"schema": *\([0-9]*\).*/\1/p' "$summary" | head -n 1) in
1) manifest=$repo/snapshots/$id.age ;;
2) manifest=$repo/snapshots/$expected.age ;;
*) stop "the summary of $id has a format that this program does not know" ;;
esac
[ -n "$expected" ] && [ -f "$manifest" ] && [ "$(hash_of "$manifest")" = "$expected" ] ||
    stop "the manifest of $id is missing or damaged; try another backup"

# --- the key ---------------------------------------------------------------------------------------------

work=$(mktemp -d)
partial=
trap 'rm -rf "$work"; [ -z "$partial" ] || rm -f "$partial"' EXIT
trap 'exit 1' HUP INT TERM

recipient=$(sed -n '/"data"/,/\]/s/.*"\(age1[a-z0-9]*\)".*/\1/p' "$config" | head -n 1)
# The identity is in a variable of this shell and in no file.
opened() {
    [ -z "$recipient" ] || printf '%s\n' "$identity" | grep -q "^# public key: $recipient\$" || return 1
    identity=$(printf '%s\n' "$identity" | grep '^AGE-SECRET-KEY-1' | head -n 1)
    [ -n "$identity" ]
}

unlock() {
    tried=0 seen=' '
    for key in "$repo"/keys/*.age "$repo"/copies/keys/*.age; do
        fits "$key" 65536 || continue
        case ${key##*/} in
        *"-$(hash_of "$key" | head -c 16).age") ;;
        *) printf '%s is damaged and not used\n' "${key##*/}" >&2 && continue ;;
        esac
        # A sound copy is the same as the object.
        case $seen in *" ${key##*/} "*) continue ;; esac
        seen="$seen${key##*/} "
        header=$(head -n 2 "$key" | tail -n 1 | tr -cd ' -~')
        kind=$(printf '%s\n' "$header" | cut -d ' ' -f 2)
        if [ -n "${CLOUDRON_IDENTITY_FILE-}" ]; then
            [ "$kind" = X25519 ] || continue
            identity=$(age -d -i "$CLOUDRON_IDENTITY_FILE" "$key" 2>/dev/null) && opened && return
        elif [ "$kind" = scrypt ]; then
            # A higher work factor takes minutes and gigabytes, and nobody honest writes it.
            case $(printf '%s\n' "$header" | cut -d ' ' -f 4) in [0-9] | 1[0-9] | 2[0-2]) ;; *) continue ;; esac
            tried=$((tried + 1))
            [ "$tried" -le 20 ] || stop 'there are more than 20 objects in keys/: move away those that nobody knows'
            printf 'Opening %s with the backup key.\n' "${key##*/}" >&2
            identity=$(age -d "$key") && opened && return
        fi
    done
    [ -n "${CLOUDRON_IDENTITY_FILE-}" ] || stop 'the backup key does not open this repository'
    # It may be the identity of the repository itself.
    identity=$(grep '^ *AGE-SECRET-KEY-1' "$CLOUDRON_IDENTITY_FILE" | head -n 1)
}

unlock
decrypt() { printf '%s\n' "$identity" | age -d -i - "$1"; }
# The lines of an object. A longer line than this is no line that cloudron writes; awk would hold it in memory.
lines() { decrypt "$1" | zstd -dcq | fold -b -w 16777216; }
plain_id=$(printf '%s\n' "$id" | sed 's/\(+[0-9A-Za-z.]*\)\.[0-9]*$/\1/; t; s/+[0-9]*$//')
head_line=$(lines "$manifest" 2>/dev/null | head -n 1)
case $head_line in
*"\"id\":\"$id\""* | *"\"id\":\"$plain_id\""*) ;;
*) stop 'the key does not open this backup, or the manifest is that of another one' ;;
esac

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
            if (more > 8192) more = 0
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
    awk -F , 'NF > 1 && $1 ~ /^(null|[0-9a-f]+)$/ && $2 ~ /^[0-9]+$/ { print $1, $2, $3 + 0 }' >"$work/extents"
awk '$1 != "null" { print $1 }' "$work/extents" | sort -u >"$work/wanted"

# Where the chunks are: chunk, pack, offset, length, length of the chunk. Packs that are on their way out come
# last. What no writer writes is left out.
: >"$work/there"
if [ -s "$work/wanted" ]; then
    for object in "$repo"/index/*.age "$repo"/condemned/*.age; do
        [ -f "$object" ] || continue
        name=${object##*/}
        if ! fits "$object" 67108864 || [ "$(hash_of "$object").age" != "$name" ]; then
            printf '%s is damaged and not used\n' "$name" >&2
            continue
        fi
        lines "$object" | head -c "$((16 * $(wc -c <"$object") + 1048576))" | tr '[' '\n' | awk '
            FNR == NR { wanted[$1] = 1; next }
            match($0, /^\{"pack":"[0-9a-f]+/) { pack = substr($0, 10, RLENGTH - 9); next }
            substr($0, 1, 1) == "\"" && substr($0, 2, 64) in wanted {
                n = split(substr($0, 68), place, /[],]/)
                for (i = 1; i <= 3; i++) if (n < 3 || place[i] !~ /^[0-9]+$/ || length(place[i]) > 8) next
                if (length(pack) != 64 || place[2] > 17825792 || place[3] > 16777216) next
                print substr($0, 2, 64), pack, place[1], place[2], place[3]
            }' "$work/wanted" -
    done >"$work/found"
    # Of several places those whose pack is there.
    while read -r chunk pack place; do
        ! fits "$repo/packs/$(printf '%.2s' "$pack")/$pack.age" 67108864 ||
            printf '%s %s %s\n' "$chunk" "$pack" "$place"
    done <"$work/found" >"$work/there"
    [ -s "$work/there" ] || stop 'no pack with the content of the file is there'
fi

# Which parts of which packs make up the file, without the packs that are named in $work/without.
plan() {
    awk '
        FILENAME == ARGV[1] { without[$1] = 1; next }
        FILENAME == ARGV[2] { if (!($1 in place) && !($2 in without)) place[$1] = $2 " " $3 " " $4 " " $5; next }
        (total += $2) > 17592186044416 { print "missing: more than 16 TiB"; exit }
        $1 == "null" { print "hole", $2; next }
        !($1 in place) { print "missing:", $1; next }
        { print place[$1], $2, $3 }' "$work/without" "$work/there" "$work/extents" >"$work/plan"
    missing=$(grep '^missing:' "$work/plan" | head -n 1)
    [ -z "$missing" ]
}

# Writes the file, or says why it cannot be.
build() {
    : >"$partial"
    last_pack= last_chunk= why='the content cannot be written'
    while read -r pack offset length raw size start; do
        if [ "$pack" = hole ]; then
            truncate -s "+$offset" "$partial" || return 1
            continue
        fi
        if [ "$pack" != "$last_pack" ]; then
            object=$repo/packs/$(printf '%.2s' "$pack")/$pack.age
            why="packs/*/$pack.age does not have the hash that it is named by"
            [ "$(hash_of "$object")" = "$pack" ] || return 1
            why="packs/*/$pack.age cannot be decrypted"
            decrypt "$object" >"$work/pack" || return 1
            last_pack=$pack
        fi
        if [ "$pack $offset" != "$last_chunk" ]; then
            why="a chunk in packs/*/$pack.age does not decompress"
            tail -c "+$((offset + 1))" "$work/pack" | head -c "$length" | zstd -dcq 2>/dev/null |
                head -c "$((raw + 1))" >"$work/chunk"
            [ "$(wc -c <"$work/chunk")" -eq "$raw" ] || return 1
            last_chunk="$pack $offset"
        fi
        tail -c "+$((start + 1))" "$work/chunk" | head -c "$size" >>"$partial"
    done <"$work/plan"
    why='the content does not have the hash that the manifest says'
    [ "$(hash_of "$partial")" = "$expected" ]
}

partial=$(mktemp "$(dirname -- "$output")/.recover.XXXXXX")
# Where a chunk has several places, some index may be wrong. Then each pack of a plan that failed is left out in turn.
echo >"$work/queue"
tries=0 done= first_why=
while [ -z "$done" ] && [ "$tries" -lt 40 ]; do
    tries=$((tries + 1))
    without=$(sed -n "${tries}p" "$work/queue")
    [ "$tries" -eq 1 ] || [ -n "$without" ] || break
    printf '%s\n' "$without" | tr ' ' '\n' >"$work/without"
    if ! plan; then
        [ -n "$first_why" ] || first_why="the content is not whole: chunk ${missing##* } is missing"
    elif build; then
        done=1
    else
        [ -n "$first_why" ] || first_why=$why
        sed '/^hole/d; s/ .*//' "$work/plan" | sort -u | sed "s/^/$without /; s/^ //" >>"$work/queue"
    fi
done
[ -n "$done" ] || stop "$first_why"

if [ -e "$output" ] || [ -L "$output" ]; then stop "$3 exists already, and is kept"; fi
mv -- "$partial" "$output"
partial=
printf '%s of %s is in %s, its hash is checked\n' "$2" "$id" "$3" >&2
