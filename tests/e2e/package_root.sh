#!/usr/bin/env bash
# The Debian package on a clean root, without a compiler: it installs with what it depends on,
# trains, serves, and has its man page, its completion and its unit.
#
#   package_root.sh BUILD_FOLDER
#
# Exit code 77: not root, no debootstrap, or no package archive to be reached.
set -euo pipefail
build=$(cd "$1" && pwd)
[ "$(id -u)" = 0 ] && command -v debootstrap >/dev/null ||
  { echo "not root, or no debootstrap"; exit 77; }
work=$(mktemp -d /var/tmp/troupe-package-XXXXXX)
root=$work/root
end() {
  umount -l "$root/proc" "$root/dev/shm" 2>/dev/null || true
  rm -rf "$work"
}
trap end EXIT
say() { echo "[$SECONDS s] $*"; }

(cd "$build" && cpack -G DEB -B "$work" >"$work/log" 2>&1) || { cat "$work/log"; exit 1; }
package=$(ls "$work"/*.deb)
say "$(basename "$package"): $(du -k "$package" | cut -f1) kB"
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
archive=$(apt-get indextargets --format '$(SITE) $(RELEASE)' |
  awk -v release="$release" '$2 == release { print $1; exit }')
debootstrap --variant=minbase "$release" "$root" "$archive" >"$work/log" 2>&1 ||
  { tail -n 3 "$work/log"; echo "no clean root from $archive"; exit 77; }
say "a clean root"
in_root() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 "$@"; }
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/dev/shm"
cp -f /etc/apt/apt.conf.d/*proxy* "$root/etc/apt/apt.conf.d/" 2>/dev/null || true
cp -f /etc/resolv.conf /etc/hosts "$root/etc/" 2>/dev/null || true
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
cp "$package" "$root/root/"
in_root apt-get update >"$work/log" 2>&1
in_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
  "/root/$(basename "$package")" >"$work/log" 2>&1 || { tail -n 20 "$work/log"; exit 1; }
say "installed: $(in_root troupe --version)"
for absent in cc c++ cmake; do
  if in_root sh -c "command -v $absent" >/dev/null; then echo "there is a $absent"; exit 1; fi
done
for there in usr/share/man/man1/troupe.1 usr/share/bash-completion/completions/troupe \
  usr/lib/systemd/system/trouped.service; do
  [ -s "$root/$there" ] || { echo "$there is missing"; exit 1; }
done
grep -q '^ExecStart=/usr/bin/trouped ' "$root/usr/lib/systemd/system/trouped.service" ||
  { echo "the unit starts another program"; exit 1; }
in_root sh -c 'cd /root && troupe quickstart --home q --json --dashboard off \
  --set sft.steps=40 --set grpo.steps=4 --set eval.problems=8' >"$work/out" 2>"$work/log" ||
  { tail -n 5 "$work/log"; exit 1; }
grep -q '"state":"finished"' "$work/out" || { cat "$work/out"; exit 1; }
say "quickstart ended: $(grep -o '"weights_sha256":"[0-9a-f]\{12\}' "$work/out")"
in_root sh -c 'trouped --home /root/jobs --server /root/door 2>/root/said & daemon=$!
  for i in 1 2 3 4 5 6 7 8 9 10; do grep -q serving /root/said && break; sleep 1; done
  troupe jobs --server /root/door && kill $daemon && wait $daemon' >"$work/out" ||
  { cat "$work/out" "$root/root/said"; exit 1; }
say "the daemon serves and ends"
