// Attacks 1 to 18: processes, memory, disk, output, time.
#pragma once

#include "tests/actors/verifier/sandbox/attack.h"

namespace troupe::actors::tests {

inline std::vector<Attack> resource_attacks() {
  const std::vector<BoxEnd> exited = {BoxEnd::kExited};
  BoxLimits wide_disk = attack_limits();
  wide_disk.disk_bytes = 1 << 30;
  return {
      {1,
       "fork bomb",
       R"(
while True:
    try: os.fork()
    except OSError: pass
)",
       {BoxEnd::kCpuLimit, BoxEnd::kWallLimit, BoxEnd::kMemoryLimit, BoxEnd::kStarved}},
      {2, "a daemon that outlives its parents", R"(
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        say("daemon lives")
        while True: pass
    os._exit(0)
os.wait()
import select
select.select([], [], [], 0.05)
os._exit(0)
)",
       exited, "daemon lives"},
      {3, "thousands of threads", R"(
import _thread
lock = _thread.allocate_lock()
lock.acquire()
started = 0
try:
    for _ in range(5000):
        _thread.start_new_thread(lock.acquire, ())
        started += 1
except RuntimeError: pass
say("few" if started < 8 else "ESCAPED the process limit")
os._exit(0)
)",
       exited, "few"},
      {4,
       "hops from process to process ahead of the killer",
       R"(
if os.fork() == 0:
    while True:
        try:
            if os.fork() != 0: os._exit(0)
        except OSError: pass
import signal
while True: signal.pause()
)",
       {BoxEnd::kCpuLimit, BoxEnd::kWallLimit, BoxEnd::kMemoryLimit, BoxEnd::kStarved}},
      {5,
       "touches ever more memory",
       R"(
kept = []
while True: kept.append(bytearray(b"x") * (1 << 20))
)",
       {BoxEnd::kMemoryLimit, BoxEnd::kExited}},
      {6, "reserves memory without touching it", R"(
import mmap
must_fail("a terabyte", mmap.mmap, -1, 1 << 40)
try: mmap.mmap(-1, 256 << 20)
except OSError: pass
say("done")
)",
       exited, "done"},
      {7, "files in /tmp and /dev/shm beyond their limit", R"(
for folder in ("/tmp", "/dev/shm"):
    try:
        for i in range(100): open("%s/troupe-attack-%d" % (folder, i), "wb").write(bytes(1 << 20))
        say("ESCAPED the disk limit")
    except OSError: say("full")
)",
       exited, "full\nfull\n"},
      {7,
       "memory as files in /dev/shm",
       R"(
try:
    for i in range(400): open("/dev/shm/troupe-attack-%d" % i, "wb").write(bytes(1 << 20))
    say("ESCAPED the memory limit")
except MemoryError: pass
)",
       {BoxEnd::kMemoryLimit},
       "",
       wide_disk},
      {8, "memory in the buffers of pipes and sockets", R"(
import fcntl, socket
kept = []
def fill(file):
    os.set_blocking(file, False)
    try:
        while True: os.write(file, bytes(1 << 16))
    except OSError: pass
try:
    while True:
        pair = os.pipe()
        kept.append(pair)
        try: fcntl.fcntl(pair[1], 1031, 1 << 20)
        except OSError: pass
        fill(pair[1])
        pair = socket.socketpair()
        kept.append(pair)
        fill(pair[0].fileno())
except OSError: say("no more")
)",
       ends_of_hog()},
      {9, "memory behind memfd_create", R"(
must_fail("memfd_create", os.memfd_create, "troupe-attack")
system_call("memfd_secret", 447, 0)
)",
       exited, "memfd_create refused\nmemfd_secret refused\n"},
      {10, "one file that fills the disk", R"(
file = os.open("/tmp/troupe-attack", os.O_CREAT | os.O_WRONLY)
size = 0
try:
    while size < 1 << 30: size += os.write(file, bytes(1 << 16))
    say("ESCAPED the disk limit")
except OSError: say("full")
)",
       exited, "full"},
      {11, "a million empty files", R"(
i = 0
try:
    while i < 1000000:
        os.close(os.open("/tmp/troupe-attack-%d" % i, os.O_CREAT))
        i += 1
except OSError: say("full")
)",
       ends_of_hog()},
      {12, "a sparse file of 8 EiB", R"(
file = os.open("/tmp/troupe-attack", os.O_CREAT | os.O_RDWR)
must_fail("truncate", os.ftruncate, file, 2**63 - 1)
must_fail("allocate", os.posix_fallocate, file, 0, 1 << 40)
)",
       exited, "truncate refused\nallocate refused\n"},
      {13,
       "output without end",
       R"(
while True: os.write(1, bytes(1 << 16))
)",
       {BoxEnd::kOutputLimit}},
      {13,
       "a report without end",
       R"(
while True: os.write(3, bytes(1 << 16))
)",
       {BoxEnd::kOutputLimit}},
      {14,
       "errors without end while the output drips",
       R"(
while True:
    os.write(2, bytes(1 << 16))
    os.write(1, b".")
)",
       {BoxEnd::kCpuLimit, BoxEnd::kWallLimit, BoxEnd::kOutputLimit, BoxEnd::kStarved}},
      {15, "output that is no text", R"(
os.write(1, b"\0\xff\xfe\x1b]0;owned\x07\x1b[2J no newline")
)",
       exited},
      {16, "an endless loop", "while True: pass", ends_of_spinner()},
      {17,
       "a sleep without end",
       R"(
import signal
while True: signal.pause()
)",
       {BoxEnd::kWallLimit}},
      {18, "blocks and ignores all signals", R"(
import signal
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
say("deaf")
while True: pass
)",
       ends_of_spinner(), "deaf"},
  };
}

}  // namespace troupe::actors::tests
