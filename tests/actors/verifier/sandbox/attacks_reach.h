// Attacks 19 to 32 and 39 to 42: other processes, the network, files, the kernel.
#pragma once

#include "tests/actors/verifier/sandbox/attack.h"

namespace troupe::actors::tests {

inline std::vector<Attack> reach_attacks() {
  const std::vector<BoxEnd> exited = {BoxEnd::kExited};
  return {
      {19, "signals and traces everything", R"(
import signal
must_fail("host's process", os.kill, host_pid, 9)
must_fail("everybody", os.kill, -1, 9)
must_fail("attach", c.ptrace, 16, 1, 0, 0)
system_call("process_vm_writev", 311, 1, 0, 0, 0, 0, 0)
system_call("limits of process 1", 302, 1, 0, 0, 0)
must_fail("memory of process 1", open, "/proc/1/mem", "r+b")
must_fail("descriptors of process 1", os.listdir, "/proc/1/fd")
os.kill(1, 9)
os.kill(os.getppid(), 15)
signal.pidfd_send_signal(os.pidfd_open(1), 9)
system_call("pidfd_getfd", 438, os.pidfd_open(1), 0, 0)
say("process 1 lives")
)",
       exited, "process 1 lives"},
      {20,
       "a stopped child that is waited for, FUSE, userfaultfd",
       R"(
import signal
must_fail("fuse", open, "/dev/fuse")
system_call("userfaultfd", 323, 0)
child = os.fork()
if child == 0: os.kill(os.getpid(), signal.SIGSTOP)
os.waitpid(child, 0)
)",
       {BoxEnd::kWallLimit},
       "fuse refused\nuserfaultfd refused\n"},
      {20,
       "a stopped vfork child",
       R"(
#include <signal.h>
#include <unistd.h>
int main() {
  if (vfork() == 0) { kill(getpid(), SIGSTOP); _exit(0); }
}
)",
       {BoxEnd::kWallLimit},
       "",
       attack_limits(),
       "cpp"},
      {21, "the internet and its names", R"(
import socket
must_fail("tcp", lambda: socket.create_connection(("1.1.1.1", 53), 1))
must_fail("name", socket.getaddrinfo, "example.com", 80)
)",
       exited, "tcp refused\nname refused\n"},
      {22, "the daemon's sockets", R"(
import socket
must_fail("loopback", lambda: socket.create_connection(("127.0.0.1", port), 1))
def unix(): socket.socket(socket.AF_UNIX).connect("\0" + abstract)
must_fail("abstract", unix)
a, b = socket.socketpair()
must_fail("connect", a.connect, "\0" + abstract)
)",
       exited, "loopback refused\nabstract refused\nconnect refused\n"},
      {23, "unusual families of sockets", R"(
import socket
for family in (1, 2, 10, 16, 17, 38, 40):
    for kind in (1, 2, 3): must_fail("family", socket.socket, family, kind)
system_call("io_uring_setup", 425, 8, 0)
say("tried")
)",
       exited, "tried"},
      {24, "the cloud's metadata", R"(
import socket
must_fail("metadata", lambda: socket.create_connection(("169.254.169.254", 80), 1))
)",
       exited, "metadata refused"},
      {25, "the environment", R"(
seen = set(os.environ)
for line in (read("/proc/self/environ"), b""):
    seen |= {word.split(b"=")[0].decode() for word in line.split(b"\0") if word}
os.write(1, repr(os.environ).encode() + read("/proc/self/environ"))
must_fail("environment of process 1", read, "/proc/1/environ")
allowed = {"PATH", "HOME", "LANG", "PWD", "PYTHONHASHSEED"}
say("only the allowed" if seen <= allowed else "ESCAPED %s" % seen)
)",
       exited, "only the allowed"},
      {26, "secrets in files", R"(
for path in ("/etc/shadow", "/etc/passwd", "/root/.ssh", "/home", "/var", "/work", "/run", "/sys",
             secret_file, "/proc/1/root" + secret_file, "/proc/self/root" + secret_file,
             "/proc/self/cwd/../../.." + secret_file):
    must_fail(path, os.stat, path)
say("tried")
)",
       exited, "tried"},
      {27, "other processes in /proc", R"(
seen = sorted(int(name) for name in os.listdir("/proc") if name.isdigit())
say("own only" if seen == [1, os.getpid()] else "ESCAPED %s" % seen)
for name in ("maps", "mem", "environ"): must_fail(name, read, "/proc/1/" + name)
for name in ("cmdline", "maps", "status"): must_fail(name, read, "/proc/%d/%s" % (host_pid, name))
must_fail("kcore", read, "/proc/kcore")
must_fail("sysctl", open, "/proc/sys/kernel/core_pattern", "w")
must_fail("sysrq", open, "/proc/sysrq-trigger", "w")
)",
       exited, "own only"},
      {28, "inherited descriptors", R"(
for number in range(4, 1024):
    try: os.fstat(number)
    except OSError: continue
    say("ESCAPED descriptor %d" % number)
say("tried")
)",
       exited, "tried"},
      {29, "symbolic links to the host's files", R"(
os.symlink(secret_file, "/tmp/troupe-attack")
os.symlink("/proc/1/root" + secret_file, "/tmp/troupe-attack-2")
must_fail("link", read, "/tmp/troupe-attack")
must_fail("second link", read, "/tmp/troupe-attack-2")
must_fail("link in box", os.symlink, secret_file, "/box/troupe-attack")
)",
       exited, "link refused\nsecond link refused\nlink in box refused\n"},
      {30, "hard links, devices, pipes with names", R"(
must_fail("hard link", os.link, "/usr/bin/python3.11", "/tmp/troupe-attack")
must_fail("device", os.mknod, "/tmp/troupe-attack-device", 0o20666, os.makedev(1, 1))
must_fail("block device", os.mknod, "/tmp/troupe-attack-disk", 0o60666, os.makedev(254, 0))
must_fail("named pipe", os.mkfifo, "/tmp/troupe-attack-pipe")
must_fail("above", open, "/box/../troupe-attack", "w")
)",
       exited, "hard link refused"},
      {31, "its own program and interpreter", R"(
for path in ("/usr/bin/python3", os.path.realpath("/usr/bin/python3"), "/box/attack.py", "/init",
             os.__file__, "/usr/lib/x86_64-linux-gnu/libc.so.6", "/proc/self/exe"):
    must_fail("write", lambda: open(path, "r+b"))
    must_fail("mode", os.chmod, path, 0o777)
    must_fail("remove", os.unlink, path)
    must_fail("replace", os.rename, "/dev/null", path)
say("tried")
)",
       exited, "tried"},
      {32, "plants code for the next run", R"(
folder = os.path.dirname(os.__file__)
for path in (folder + "/__pycache__/troupe-attack.pyc", folder + "/sitecustomize.py",
             folder + "/usercustomize.py", "/box/conftest.py", "/usr/lib/troupe-attack.so"):
    must_fail("plant", lambda: open(path, "wb"))
for name in ("sitecustomize.py", "usercustomize.py", "conftest.py", "os.py", "re.py"):
    open("/tmp/" + name, "w").write('import os; os.abort()')
say("tried")
)",
       exited, "tried"},
      {39, "leaves things for the next run", R"(
import fcntl
open("/tmp/troupe-attack", "w").write("left")
open("/dev/shm/troupe-attack", "w").write("left")
system_call("keyring", 248, b"user", b"troupe-attack", b"left", 4, -3)
system_call("shared memory", 29, 4711, 4096, 0o1666)
system_call("semaphore", 64, 4711, 1, 0o1666)
system_call("message queue", 68, 4711, 0o1666)
shared = os.open(os.__file__, os.O_RDONLY)
must_fail("whole-file lock", fcntl.flock, shared, fcntl.LOCK_EX)
must_fail("record lock", fcntl.lockf, shared, fcntl.LOCK_SH)
must_fail("lease", fcntl.fcntl, shared, fcntl.F_SETLEASE, fcntl.F_RDLCK)
say("tried")
)",
       exited, "tried"},
      {40, "namespaces, mounts, another root", R"(
for flag in (0x10000000, 0x00020000, 0x20000000, 0x40000000, 0x02000000, 0x04000000, 0x08000000):
    must_fail("unshare", c.unshare, flag)
    system_call("clone", 56, flag | 17, 0, 0, 0, 0)
must_fail("setns", c.setns, os.open("/proc/self/ns/net", os.O_RDONLY), 0)
must_fail("mount", c.mount, b"none", b"/tmp", b"tmpfs", 0, None)
must_fail("remount", c.mount, None, b"/", None, 32, None)
must_fail("unmount", c.umount2, b"/tmp", 2)
must_fail("chroot", os.chroot, "/tmp")
system_call("pivot_root", 155, b"/tmp", b"/tmp")
system_call("clone3", 435, 0, 0)
system_call("open_tree", 428, -100, b"/", 1)
system_call("fsopen", 430, b"tmpfs", 0)
system_call("mount_setattr", 442, -100, b"/", 0, 0, 0)
say("tried")
)",
       exited, "tried"},
      {41, "set-user-id programs and capabilities", R"(
for name in ("su", "sudo", "mount", "passwd", "newgrp"):
    must_fail(name, os.stat, "/usr/bin/" + name)
must_fail("setuid", os.setuid, 0)
must_fail("setgid", os.setgid, 0)
must_fail("setgroups", os.setgroups, [0])
os.close(os.open("/tmp/troupe-attack", os.O_CREAT, 0o755))
os.chmod("/tmp/troupe-attack", 0o6755)
for line in open("/proc/self/mountinfo"):
    if line.split()[4] != "/proc" and "nosuid" not in line: say("ESCAPED nosuid: " + line)
status = open("/proc/self/status").read()
for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
    if name + ":\t0000000000000000" not in status: say("ESCAPED " + name)
if "NoNewPrivs:\t1" not in status: say("ESCAPED no_new_privs")
say("tried")
)",
       exited, "tried"},
      {42, "the kernel's dangerous corners", R"(
import fcntl
for name, number in (("bpf", 321), ("perf_event_open", 298), ("keyctl", 250), ("add_key", 248),
                     ("request_key", 249), ("kexec_load", 246), ("kexec_file_load", 320),
                     ("init_module", 175), ("finit_module", 313), ("delete_module", 176),
                     ("io_uring_setup", 425), ("userfaultfd", 323), ("fanotify_init", 300),
                     ("name_to_handle_at", 303), ("open_by_handle_at", 304), ("swapon", 167),
                     ("reboot", 169), ("settimeofday", 164), ("clock_settime", 227), ("acct", 163),
                     ("quotactl", 179), ("modify_ldt", 154), ("ioperm", 173), ("iopl", 172),
                     ("syslog", 103), ("lookup_dcookie", 212), ("kcmp", 312), ("vhangup", 153),
                     ("seccomp", 317), ("landlock_create_ruleset", 444), ("mbind", 237),
                     ("sched_setscheduler", 144), ("sched_setaffinity", 203), ("setpriority", 141),
                     ("sethostname", 170), ("process_madvise", 440), ("new", 500)):
    system_call(name, number, 0, 0, 0, 0, 0)
system_call("personality", 135, 0x0040000)
for request in (0x5412, 0x541c, 0x540e, 0x5423): system_call("terminal", 16, 0, request, b"x")
say("tried")
)",
       exited, "tried"},
      {42,
       "system calls of another machine",
       R"(
int main() {
  long result = 20;  // getpid of i386.
  asm volatile("int $0x80" : "+a"(result) : : "memory");
  return 0;
}
)",
       {BoxEnd::kSignalled},
       "",
       attack_limits(),
       "cpp"},
      {42,
       "system calls with the x32 mark",
       R"(
#include <unistd.h>
int main() { return syscall(0x40000000 + 39) > 0 ? 0 : 1; }
)",
       {BoxEnd::kSignalled},
       "",
       attack_limits(),
       "cpp"},
  };
}

}  // namespace troupe::actors::tests
