// Attacks 33 to 38, 43 and 44: on answers, compilers and parsers. Of the first six only the box's
// part is here: bytes arrive as they were written, an exit says no more than that, and what a
// comparison needs is not in the box. The frames and the comparison are the code verifier's.
#pragma once

#include "tests/actors/verifier/sandbox/attack.h"

namespace troupe::actors::tests {

inline std::vector<Attack> answer_attacks() {
  const std::vector<BoxEnd> exited = {BoxEnd::kExited};
  return {
      {33, "leaves early with success", "os._exit(0)", exited},
      {33, "says OK and aborts", "os.write(1, b'OK')\nos.abort()", {BoxEnd::kSignalled}},
      {34, "is equal to everything", R"(
class Any(int):
    __eq__ = lambda self, other: True
    __hash__ = int.__hash__
os.write(1, repr(Any(7) == 8).encode())
)",
       exited},
      {35, "patches what would judge it", R"(
import builtins, json
json.loads = json.dumps = builtins.print = lambda *a, **k: "1"
sys.stdout = open("/dev/null", "w")
sys.exit(0)
)",
       exited},
      {36, "looks for secrets in memory", R"(
import gc, re
secret = re.compile(b"canary-value-[0-9a-f]{6}")
memory = open("/proc/self/mem", "rb", 0)
found = 0
for line in open("/proc/self/maps"):
    span, mode = line.split()[:2]
    if "r" not in mode: continue
    begin, end = (int(x, 16) for x in span.split("-"))
    try:
        memory.seek(begin)
        if secret.search(memory.read(end - begin)): found += 1
    except (OSError, OverflowError, ValueError): pass
for thing in gc.get_objects():
    if type(thing) is dict and any(secret.search(repr(key).encode()) for key in thing): found += 1
say("ESCAPED a secret" if found else "nothing")
)",
       exited, "nothing"},
      {37, "writes to every descriptor", R"(
for number in range(0, 300):
    try: os.write(number, b"forged")
    except OSError: pass
)",
       exited, "forged"},
      {38, "counts its runs", R"(
before = os.listdir("/tmp") + os.listdir("/dev/shm")
for folder in ("/tmp", "/dev/shm"): open(folder + "/troupe-attack-count", "a").write("1")
say("first run" if not before else "ESCAPED %s" % before)
)",
       exited, "first run"},
      {43,
       "includes secrets and devices when it is compiled",
       R"(
#if __has_include(SECRET) || __has_include("/etc/shadow") || __has_include("/etc/passwd")
#error ESCAPED
#endif
asm(".incbin \"" SECRET "\"");
asm(".incbin \"/proc/1/environ\"");
int main() {}
)",
       {BoxEnd::kExited},
       "",
       attack_limits(),
       "cpp"},
      {43, "includes zeros without end", "#include \"/dev/zero\"\nint main() {}", ends_of_hog(), "",
       attack_limits(), "cpp"},
      {43, "templates that explode", R"(
template <int N, int M> struct T { enum { v = T<N - 1, M * 2>::v + T<N - 1, M * 2 + 1>::v }; };
template <int M> struct T<0, M> { enum { v = M }; };
int main() { return T<28, 1>::v; }
)",
       ends_of_hog(), "", attack_limits(), "cpp"},
      {43, "constant expressions without end", R"(
constexpr unsigned f(unsigned n) { unsigned s = 0; for (;;) s += n; return s; }
constexpr unsigned x = f(1);
int main() { return x; }
)",
       ends_of_hog(), "", attack_limits(), "cpp"},
      {43, "an object of a gigabyte", "char big[1 << 30] = {1};\nint main() { return big[7]; }",
       ends_of_hog(), "", attack_limits(), "cpp"},
      {44, "recursion without end", R"(
import threading
sys.setrecursionlimit(10**9)
def f(n): return f(n + 1) + 1
f(0)
)",
       ends_of_hog()},
      {44,
       "a smashed stack",
       R"(
#include <string.h>
int main() { volatile char small[8]; memset((void*)small, 'A', 1 << 26); }
)",
       {BoxEnd::kSignalled, BoxEnd::kMemoryLimit},
       "",
       attack_limits(),
       "cpp"},
      {44, "a file that unpacks to gigabytes", R"(
import zlib
packed = zlib.compress(bytes(1 << 24), 9)
whole = b"".join(zlib.decompress(packed) for _ in range(200))
)",
       ends_of_hog()},
      {44, "a regular expression without end", R"(
import re
re.match(r"(a+)+$", "a" * 40 + "b")
)",
       ends_of_spinner()},
      {44,
       "a dictionary whose keys collide",
       R"(
class Key:
    def __hash__(self): return 1
table = {}
while True: table[Key()] = 1
)",
       {BoxEnd::kCpuLimit, BoxEnd::kStarved, BoxEnd::kMemoryLimit}},
      {44, "nesting a million deep", "os.write(1, b'[' * 60000)", exited},
  };
}

}  // namespace troupe::actors::tests
