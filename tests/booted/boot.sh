#!/bin/bash
# Boots the systemd of the directory tree $1 as process 1 of its own namespaces; run.sh calls it.
#
# Nothing of the machine is within its reach: the tree is its root, all else is unmounted before
# systemd starts, /run, /tmp, /var/tmp and /dev are its own, /sys and /proc/sys read-only, and it
# may neither set the clock nor load modules. It ends with the process that this script becomes.
set -euo pipefail

root=$(readlink -f "$1")
[ "$root" != / ] && [ -x "$root/lib/systemd/systemd" ] || { echo "no systemd in $root" >&2; exit 2; }

case ${2:-} in
    "")
        exec unshare --mount --propagation private --pid --fork --kill-child --ipc --uts --net \
            "$BASH" "$0" "$root" group
        ;;
    group) # a control group of its own, whose root will be the tree's root
        group=$(findmnt --noheadings --first-only --types cgroup2 --output TARGET)/langidd-booted
        mkdir -p "$group"
        echo 0 > "$group/cgroup.procs"
        exec unshare --cgroup "$BASH" "$0" "$root" root
        ;;
esac

ip link set lo up
hostname booted
mount --bind "$root" "$root"
cd "$root"
mount -t proc -o nosuid,nodev,noexec proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o nosuid,nodev,noexec,ro sysfs sys
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 sys/fs/cgroup
for place in run tmp var/tmp; do mount -t tmpfs -o nosuid,nodev tmpfs "$place"; done
chmod 1777 tmp var/tmp
mount -t tmpfs -o mode=0755 tmpfs dev
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for node in 'null 3' 'zero 5' 'full 7' 'random 8' 'urandom 9'; do
    mknod -m 0666 "dev/${node% *}" c 1 "${node#* }"
done
mknod -m 0666 dev/tty c 5 0
mknod -m 0600 dev/console c 1 3 # what systemd says on the console, the journal has as well

mkdir -p .machine
pivot_root . .machine
cd /
umount --lazy /.machine
rmdir /.machine
# Within the tree alone: systemd hands credentials to services through mounts that spread.
mount --make-rshared /
exec setpriv --bounding-set=-sys_time,-sys_module,-syslog,-audit_control,-mac_admin \
    env -i container=langidd-booted PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd \
    --unit=multi-user.target < /dev/null > /dev/null 2>&1
