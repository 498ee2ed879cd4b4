#!/bin/bash
# The service under a real systemd: builds a Debian tree with langidd and mosquitto, boots it in
# namespaces of its own (boot.sh), checks it inside (checks.sh), and prints a table.
#
#   sudo tests/booted/run.sh [--keep] [TREE]
#
# Needs root, debootstrap, and a kernel with cgroup v2; some minutes, 2 GB in TREE (by default
# /var/tmp/langidd-booted) and Debian's and PyPI's servers. With --keep the tree stays, and the
# next run is quick: it only puts this checkout's langidd into it.
# PIP_INDEX_URL, PIP_EXTRA_INDEX_URL and PIP_FIND_LINKS (one address or directory) are passed on.
set -euo pipefail

keep=
[ "${1:-}" != --keep ] || { keep=yes && shift; }
tree=${1:-/var/tmp/langidd-booted}
here=$(cd "$(dirname "$0")" && pwd)
project=$(cd "$here/../.." && pwd)
[ "$(id -u)" = 0 ] || { echo "only root can boot a systemd: sudo $0" >&2; exit 2; }
for tool in debootstrap unshare nsenter setpriv findmnt git; do
    command -v "$tool" > /dev/null || { echo "$tool is missing" >&2; exit 2; }
done
group=$(findmnt --noheadings --first-only --types cgroup2 --output TARGET)/langidd-booted

packages=systemd,systemd-sysv,dbus,libpam-systemd,procps,iproute2,strace,ca-certificates
packages+=,mosquitto,mosquitto-clients,libportaudio2,python3-venv

links=${PIP_FIND_LINKS:-}
[ ! -d "$links" ] || links=/mnt

in_tree() { # COMMAND...: in the tree, before it is booted
    unshare --mount --propagation private --pid --fork --kill-child "$BASH" -euc '
        mount -t proc proc "$0/proc"
        mount --rbind /dev "$0/dev"
        mount -t tmpfs tmpfs "$0/tmp"
        [ ! -d "${PIP_FIND_LINKS:-}" ] || mount --bind "$PIP_FIND_LINKS" "$0/mnt"
        exec chroot "$0" "$@"' "$tree" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
        PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1 \
        PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
        ${links:+PIP_FIND_LINKS="$links"} \
        ${PIP_INDEX_URL:+PIP_INDEX_URL="$PIP_INDEX_URL"} \
        ${PIP_EXTRA_INDEX_URL:+PIP_EXTRA_INDEX_URL="$PIP_EXTRA_INDEX_URL"} "$@"
}

booted() { # COMMAND...: in the booted tree
    nsenter --target "$(head -n 1 "$group/init.scope/cgroup.procs")" --mount --pid --ipc --uts \
        --net --cgroup env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb "$@"
}

boot() {
    "$BASH" "$here/boot.sh" "$tree" &
    for _ in $(seq 300); do
        booted systemctl is-system-running --wait > /dev/null 2>&1 && return
        sleep 0.1
    done
    booted systemctl --no-pager --failed || echo "it does not boot" >&2
    return 1
}

down() {
    [ -d "$group" ] || return 0
    booted systemctl poweroff 2> /dev/null || true
    for _ in $(seq 300); do
        grep -q 'populated 0' "$group/cgroup.events" && break
        sleep 0.1
    done
    grep -q 'populated 0' "$group/cgroup.events" || echo 1 > "$group/cgroup.kill"
    wait
    find "$group" -depth -type d -exec rmdir {} +
}

build() {
    if [ ! -x "$tree/opt/langidd/bin/pip" ]; then
        echo "building $tree" >&2
        debootstrap --variant=minbase --include="$packages" bookworm "$tree" > "$tree.log" 2>&1
        rm "$tree.log"
        echo booted > "$tree/etc/hostname"
        printf '127.0.0.1 localhost booted\n::1 localhost\n' > "$tree/etc/hosts"
        # Neither has anything to do in a tree without disks and terminals.
        ln -s /dev/null "$tree/etc/systemd/system/systemd-remount-fs.service"
        ln -s /dev/null "$tree/etc/systemd/system/console-getty.service"
        in_tree python3 -m venv /opt/langidd
    fi
    cp --dereference --remove-destination /etc/resolv.conf "$tree/etc/resolv.conf"
    cp --dereference /etc/ssl/certs/ca-certificates.crt "$tree/etc/ssl/certs/"
    rm -rf "$tree"/opt/{project,checks.sh} "$tree"/etc/{langidd,mosquitto/conf.d/*.conf,mosquitto/passwords} \
        "$tree"/etc/systemd/system/{langidd.service*,multi-user.target.wants/langidd.service} \
        "$tree"/var/lib/{langidd,private,mosquitto/mosquitto.db} "$tree"/var/cache/{langidd,private} \
        "$tree"/var/log/journal
    mkdir -p "$tree/opt/project" "$tree/var/log/journal"
    git -C "$project" ls-files -z -- langidd training pyproject.toml constraints.txt README.md LICENSE |
        tar --create --directory "$project" --null --files-from - | tar --extract --directory "$tree/opt/project"
    in_tree /opt/langidd/bin/pip uninstall --quiet --yes langidd 2> /dev/null
    in_tree /opt/langidd/bin/pip install --quiet -c /opt/project/constraints.txt /opt/project
    cp "$here/checks.sh" "$tree/opt/"
}

ended() {
    down
    [ -n "$keep" ] || rm -rf --one-file-system "$tree"
}
trap ended EXIT

build
boot
failed=
echo "$(booted systemctl --version | head -n 1), $(nproc) CPUs, load $(cut -d ' ' -f 1 /proc/loadavg)"
echo
booted bash /opt/checks.sh || failed=yes
# What was enabled is there after the next boot, too.
down
boot
booted bash /opt/checks.sh after_boot | tail -n +3 || failed=yes
[ -z "$failed" ]
