#!/bin/busybox sh
# First program of a lab's virtual machine: the host's files as its root, read-only, with a layer in memory above them.
# Which Python runs the program that follows is on the kernel's command line.
bb=/bin/busybox
fail() {
  echo "kubewalk: $1"
  $bb poweroff -f
}
$bb mkdir -p /proc /sys /dev /lower /upper /root
$bb mount -t proc proc /proc
$bb mount -t sysfs sys /sys
$bb mount -t devtmpfs dev /dev
while read -r module; do
  $bb insmod "/modules/$module" || fail "module $module cannot be loaded"
done </modules/order
$bb mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=512000,access=any root /lower || fail "the host's files cannot be had"
$bb mount -t tmpfs -o size=75% upper /upper
$bb mkdir /upper/files /upper/work
$bb mount -t overlay -o lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work overlay /root || fail "no layer above the host's files"
$bb mount -t tmpfs -o mode=755 run /root/run
$bb mkdir -p /root/run/lock /root/run/netns /root/run/kubewalk-vm
for folder in agent guest; do
  $bb mkdir "/root/run/kubewalk-vm/$folder"
  $bb mount --bind "/$folder" "/root/run/kubewalk-vm/$folder"
done
$bb mount -t devtmpfs dev /root/dev
$bb mkdir -p /root/dev/pts /root/dev/shm
$bb mount -t devpts -o mode=600,ptmxmode=666 devpts /root/dev/pts
$bb mount -t tmpfs -o mode=1777 shm /root/dev/shm
$bb mount --move /proc /root/proc
$bb mount --move /sys /root/sys
$bb mount -t cgroup2 cgroup2 /root/sys/fs/cgroup
$bb hostname kubewalk-vm
$bb ip link set lo up
for word in $($bb cat /root/proc/cmdline); do
  case $word in
    kubewalk.python=*) python=${word#*=} ;;
  esac
done
# Not switch_root, which deletes what came with the first root: this kubewalk stays there.
cd /root
$bb mount --move . /
exec $bb chroot . "$python" -B -E -s -S /run/kubewalk-vm/guest/guest.py
echo "kubewalk: $python cannot be run"
