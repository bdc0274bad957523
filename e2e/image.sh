#!/bin/sh
# Makes the image of a bare Debian server, with systemd as process 1 and OpenSSH, for the end-to-end tests.
#
#   e2e/image.sh            makes cloudron-e2e:bookworm unless this recipe made it before
#   e2e/image.sh cloud      makes cloudron-e2e:cloud, a server as clouds offer it: with cloud-init
#   e2e/image.sh … --rebuild  makes it anew
#
# Needs root, debootstrap and Docker Engine, and starts dockerd when none answers. Packages come from the
# mirror that this machine's own apt uses, or from the one in CLOUDRON_E2E_MIRROR. Says what it does on
# stderr, and the image's name on stdout.
set -eu

suite=bookworm
packages=systemd,systemd-sysv,dbus,openssh-server,iproute2,nftables,ca-certificates
# debootstrap does not find what provides a virtual package, so python3-cffi-backend is named.
case ${1:-} in
cloud) variant=cloud packages=$packages,cloud-init,python3-cffi-backend,sudo ;;
*) variant=$suite ;;
esac
image=cloudron-e2e:$variant
work=${CLOUDRON_E2E_WORK:-/var/tmp/cloudron-e2e}

say() { echo "image.sh: $*" >&2; }
fail() { say "$*"; exit 1; }

# The first mirror of the suite in either format of apt's sources; security and other archives aside.
mirror() {
    if [ -n "${CLOUDRON_E2E_MIRROR:-}" ]; then
        echo "$CLOUDRON_E2E_MIRROR"
        return
    fi
    for file in /etc/apt/sources.list.d/*.sources; do
        [ -e "$file" ] || continue
        awk -v suite="$suite" '
            function flush() { if (uri != "" && found) { print uri; exit }; uri = ""; found = 0 }
            /^[[:space:]]*$/ { flush() }
            /^URIs:/ { uri = $2 }
            /^Suites:/ { for (i = 2; i <= NF; i++) if ($i == suite) found = 1 }
            END { flush() }' "$file"
    done | sed -n 1p | grep . && return
    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
        sed -n "s/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\) $suite main.*/\2/p" | sed -n 1p | grep .
}

# Two at once would both start dockerd; and waiting keeps the second from building the image again.
lock() {
    mkdir -p "$work"
    exec 9>"$work/lock"
    flock 9
}

# Starts dockerd in a session of its own, so that it outlives the test which happened to need it first.
start_docker() {
    docker info >/dev/null 2>&1 && return
    command -v dockerd >/dev/null || fail "Docker Engine is not installed (Debian: apt-get install docker.io)"
    say "starting dockerd, log in $work/dockerd.log"
    setsid nohup dockerd >"$work/dockerd.log" 2>&1 </dev/null 9>&- &
    for _ in $(seq 120); do
        docker info >/dev/null 2>&1 && return
        sleep 0.5
    done
    tail -n 20 "$work/dockerd.log" >&2
    fail "dockerd does not answer after a minute"
}

# systemd in the container keeps its groups in the named hierarchy, which not every host mounts.
mount_cgroup() {
    [ -d /sys/fs/cgroup/systemd ] && return
    [ -e /sys/fs/cgroup/cgroup.controllers ] && return
    mkdir -p /sys/fs/cgroup/systemd
    mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
}

build() {
    source=$(mirror) || fail "no mirror of $suite in apt's sources: set CLOUDRON_E2E_MIRROR"
    command -v debootstrap >/dev/null || fail "debootstrap is not installed"
    root=$work/root-$variant
    rm -rf "$root"
    say "installing $suite; this takes about a minute"
    debootstrap --variant=minbase --include="$packages" "$suite" "$root" "$source" >"$work/debootstrap.log" 2>&1 || {
        tail -n 20 "$work/debootstrap.log" >&2
        fail "debootstrap failed"
    }
    personalise "$root"
    tar -C "$root" -c . | docker import --change "LABEL recipe=$recipe" - "$image" >/dev/null
    rm -rf "$root"
}

# What a cloud's image does: every machine makes its own identity at its first boot. And nothing goes out
# to the network by itself.
personalise() {
    rm -f "$1"/etc/ssh/ssh_host_* "$1"/var/cache/apt/archives/*.deb
    rm -f "$1/var/lib/dbus/machine-id"
    : >"$1/etc/machine-id"
    cat >"$1/etc/systemd/system/host-keys.service" <<'UNIT'
[Unit]
Description=Make the SSH host keys of this machine
Before=ssh.service
ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key

[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -A

[Install]
WantedBy=multi-user.target
UNIT
    if [ "$variant" = cloud ]; then
        seed_cloud_init "$1"
    else
        chroot "$1" systemctl enable host-keys.service >/dev/null 2>&1
    fi
    chroot "$1" systemctl mask apt-daily.timer apt-daily-upgrade.timer >/dev/null 2>&1
}

# cloud-init reads what the test puts into the seed folder, and leaves the network to Docker. Everything else is as Debian
# has it: the host keys are its task, and root may log in as on the images of Hetzner and DigitalOcean.
seed_cloud_init() {
    rm -f "$1/etc/systemd/system/host-keys.service"
    mkdir -p "$1/var/lib/cloud/seed"
    cat >"$1/etc/cloud/cloud.cfg.d/99_e2e.cfg" <<'CFG'
datasource_list: [NoCloud]
network: {config: disabled}
disable_root: false
locale: false
resize_rootfs: false
growpart: {mode: "off"}
CFG
}

[ "$(id -u)" = 0 ] || fail "must be run as root"
lock
start_docker
mount_cgroup
recipe=$(sha256sum <"$0" | cut -c1-16)
existing=$(docker image inspect --format '{{.Config.Labels.recipe}}' "$image" 2>/dev/null || true)
if [ "${1:-}" = --rebuild ] || [ "${2:-}" = --rebuild ] || [ "$existing" != "$recipe" ]; then
    build
fi
echo "$image"
