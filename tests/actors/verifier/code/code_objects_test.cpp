// What tests of code do with a program's results beyond comparing plain values: objects, functions
// as arguments, exceptions, pytest. And what a hostile program makes of that.
#include <doctest/doctest.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "actors/verifier/code/code_verdict.h"
#include "tests/support/test_sandbox.h"

namespace troupe::actors {
namespace {

using Json = nlohmann::json;

CodeVerdict judge(const Json& row, const std::string& code, bool has_packages = false) {
  auto value = value_from_json(row.dump());
  REQUIRE(value);
  auto task =
      read_code_task(*value, {.seconds = 3, .memory_mb = 256, .has_packages = has_packages});
  REQUIRE_MESSAGE(task, task.error().message);
  return verify_code(*tests::test_sandbox(), *task, code);
}

VerdictKind verdict(const Json& row, const std::string& code) {
  const CodeVerdict verdict = judge(row, code);
  CAPTURE(row.dump());
  CAPTURE(code);
  CAPTURE(verdict.reason);
  CHECK_FALSE(verdict.reason.empty());
  return verdict.kind;
}

Json asserts(std::vector<std::string> tests) { return {{"test_list", std::move(tests)}}; }

void passes(std::vector<std::string> tests, const std::string& code) {
  CAPTURE(code);
  const CodeVerdict verdict = judge(asserts(tests), code);
  CAPTURE(verdict.reason);
  CHECK(verdict.kind == VerdictKind::kPassed);
}

void fails(std::vector<std::string> tests, const std::string& code) {
  CAPTURE(code);
  CAPTURE(tests[0]);
  const CodeVerdict verdict = judge(asserts(tests), code);
  CAPTURE(verdict.reason);
  CHECK(verdict.kind != VerdictKind::kPassed);
  CHECK(is_payable(verdict.kind));
}

const std::string kAlwaysEqual =
    "class Any:\n  def __eq__(self, other): return True\n  def __ne__(self, other): return False\n"
    "  def __hash__(self): return 0\n  def __lt__(self, other): return True\n"
    "  __gt__ = __le__ = __ge__ = __contains__ = __lt__\n"
    "  def __sub__(self, other): return 0\n  __rsub__ = __add__ = __radd__ = __mod__ = __sub__\n"
    "  __abs__ = __round__ = lambda self, *a: 0\n  def __bool__(self): return False\n"
    "  def __getattr__(self, name): return Any()\n  def __call__(self, *a): return Any()\n"
    "  def __iter__(self): return iter(())\n";

TEST_CASE("code objects: a hostile object decides no comparison") {
  if (!tests::test_sandbox()) return;
  const std::string any = kAlwaysEqual + "def f(*a): return Any()\n";
  for (const char* test : {"assert f(1) == 5",
                           "assert 5 == f(1)",
                           "assert not f(1) != 5",
                           "assert f(1) in [5, 6]",
                           "assert f(1) < 5",
                           "assert f(1) >= 5",
                           "assert abs(f(1) - 5) < 1e-6",
                           "assert f(1).x == 5",
                           "assert f(1)() == 5",
                           "assert [f(1)] == [5]",
                           "assert {'a': f(1)} == {'a': 5}",
                           "assert f(1) - 5 == 0",
                           "assert isinstance(f(1), int)",
                           "assert (f(1), 2) == (5, 2)",
                           "assert list(f(1)) == [5]",
                           "assert sorted([f(1)]) == [5]",
                           "assert set([f(1)]) == {5}",
                           "assert f(1) == f(2)",
                           "assert f(1).x == f(2).x",
                           "assert str(f(1)) == '5'",
                           "assert 5 in f(1)",
                           "import math\nassert math.isclose(f(1), 5)",
                           "assert round(f(1), 2) == 5.0",
                           "import pytest\nassert f(1) == pytest.approx(5)",
                           "import unittest\nunittest.TestCase().assertEqual(f(1), 5)",
                           "import unittest\nunittest.TestCase().assertAlmostEqual(f(1), 5)"}) {
    fails({test}, any);
  }
  const std::string yes =
      "class Yes:\n  def startswith(self, *a): return True\n"
      "  issubset = equals = isclose = startswith\ndef f(*a): return Yes()\n";
  for (const char* test : {"assert f(1).startswith('ab')", "assert f(1).issubset({1, 2})",
                           "assert f(1).equals(5)", "assert f(1).isclose(5)"}) {
    fails({test}, yes);
  }
  CHECK(verdict(asserts({"assert Yes().equals(5)"}), yes) == VerdictKind::kGoldUnparseable);
  // Both sides are made by the program, so it is nobody's to say: never paid.
  const std::string point =
      "class Point:\n  made = None\n  def __new__(cls, *a):\n"
      "    Point.made = Point.made or object.__new__(cls)\n    return Point.made\n"
      "  def __eq__(self, other): return True\n  __hash__ = object.__hash__\n"
      "def f(*a): return Point()\nclass Color:\n  RED = Point()\n";
  CHECK(verdict(asserts({"assert f(1) == Point(1, 2)"}), point) == VerdictKind::kGoldUnparseable);
  CHECK(verdict(asserts({"assert Point(1, 2) == f(1)"}), point) == VerdictKind::kGoldUnparseable);
  CHECK(verdict(asserts({"assert [f(1)] == [Point(1, 2)]"}), point) ==
        VerdictKind::kGoldUnparseable);
  CHECK(verdict(asserts({"assert f(1) == Color.RED"}), point) == VerdictKind::kGoldUnparseable);
  CHECK(verdict(asserts({"assert f(1) is Color.RED"}), point) == VerdictKind::kWrongAnswer);
}

TEST_CASE("code objects: a program does not see what it is compared with, nor change it") {
  if (!tests::test_sandbox()) return;
  // It empties what it is given, so that what is made of it is easy to equal.
  fails({"data = [3, 1, 2]\nassert f(data) == sorted(data)"},
        "def f(items):\n    items.clear()\n    return []\n");
  fails({"data = [3, 1, 2]\nexpected = data\nassert f(data) == [1, 2, 3]"},
        "import gc\ndef f(items):\n    for o in gc.get_objects():\n"
        "        if type(o) is list and o == [1, 2, 3]: return o\n");
  // It asks a function of the tests for what that function does not say, or never stops asking.
  fails({"assert f(lambda x: x * 2) == 10"},
        "def f(g):\n    found = []\n    for name in ('__globals__', '__code__', '__closure__', "
        "'f_back'):\n        found.append(getattr(g, name, None))\n    return found\n");
  fails({"assert f(lambda x: x) == 1"}, "def f(g):\n    while True: g(1)\n");
  fails({"assert f(lambda x: x) == 1"},
        "def f(g):\n    x = []\n    x.append(x)\n    return g(x)\n");
  fails({"assert f(lambda x: x) == 1"}, "def f(g):\n    return g(f)\n");
  fails({"g = lambda h: f(h)\nassert f(g) == 1"}, "def f(g):\n    return g(f)\n");
  // What a library has is called in the program's own box.
  fails({"assert f(eval) == 1"},
        "def f(e):\n    return e(\"__import__('sys').modules['__main__'].finish\")\n");
  fails({"assert f(exec) == 1"},
        "def f(e):\n    e(\"import os\\nfor i in range(3, 20):\\n  try: os.write(i, b'x passed 1 1 "
        "\\\\n')"
        "\\n  except OSError: pass\")\n");
  // Messages out of turn.
  for (const char* bytes : {"0000000acall l3:", "00000006value ", "00000009call i1;", "ffffffff",
                            "00000007value T", "0000000ccall t3:i0;tx"}) {
    fails({"assert f(lambda x: 1) == 1"},
          "import os\nfor i in range(3, 20):\n  try: os.write(i, b'" + std::string(bytes) +
              "')\n  except OSError: pass\ndef f(g): return 2\n");
  }
  // References to functions that no test gave away.
  for (const char* number : {"0", "1", "-1", "99999", "10**30", "'x'", "None"}) {
    fails({"assert f(1) == 1"},
          "import sys\ndef f(x):\n    frame = sys._getframe()\n"
          "    while frame:\n        make = frame.f_locals.get('references')\n"
          "        if make: return make['u'.encode()](" +
              std::string(number) + ")(1)\n        frame = frame.f_back\n    return 2\n");
  }
  // An exception that a test expects is no excuse for a function that is not there.
  fails({"try:\n  f(1)\n  assert False, 'no error'\nexcept Exception:\n  pass"}, "x = 1\n");
}

TEST_CASE("code objects: parts of objects that are none end the test, and nothing else") {
  if (!tests::test_sandbox()) return;
  for (const char* made :
       {"datetime.date", "datetime.datetime", "datetime.timedelta", "decimal.Decimal",
        "fractions.Fraction", "collections.deque", "builtins.bytearray", "numpy.ndarray",
        "namedtuple", "os.system", "datetime.x", ""}) {
    for (const char* parts :
         {"t0:", "t1:i1;", "i1;", "N", "t3:s2:osl2:s3:a bs3:a bl2:i1;i2;", "t1:l1:i1;", "t1:s1:x",
          "t3:s1:Tl1:s5:classl1:i1;", "t2:i1;i0;", "t2:l1:s1:xs10:<U99999999", "t2:l1:i1;s2:|O",
          "t3:s1:Tl2:s1:as1:al2:i1;i2;", "t9:i1;i1;i1;i1;i1;i1;i1;i1;i1;", "t2:s1:xi1;"}) {
      // The answer as bytes, to whatever is open, and then no more.
      const std::string name = made;
      std::string bytes = "value t2:x" + std::to_string(name.size()) + ":" + name + parts + "d0:";
      char head[16];
      std::snprintf(head, sizeof head, "%08zx", bytes.size());
      fails({"assert f(1) == 12345"},
            "import os\ndef f(x):\n    for i in range(3, 20):\n"
            "        try: os.write(i, b'" +
                (head + bytes) + "')\n        except OSError: pass\n    os._exit(0)\n");
    }
  }
}

TEST_CASE("code objects: objects of the standard library are as good as plain values") {
  if (!tests::test_sandbox()) return;
  passes({"import datetime\nassert f(2020) == datetime.date(2020, 1, 1)",
          "assert str(f(2020)) == '2020-01-01'", "assert f(2020).year == 2020",
          "assert (f(2021) - f(2020)).days == 366", "assert f(2020) < f(2021)"},
         "import datetime\ndef f(y): return datetime.date(y, 1, 1)");
  passes({"from datetime import datetime, timedelta, timezone",
          "assert f() == datetime(2020, 1, 2, 3, 4, 5, 6, tzinfo=timezone.utc)",
          "assert g(90) == timedelta(seconds=90)",
          "assert f().isoformat().startswith('2020-01-02T03')"},
         "from datetime import *\ndef f(): return datetime(2020, 1, 2, 3, 4, 5, 6, timezone.utc)\n"
         "def g(s): return timedelta(seconds=s)");
  passes(
      {"assert f('1.5') == 1.5", "from decimal import Decimal\nassert f('0.1') == Decimal('0.1')",
       "assert f('0.1') + f('0.2') == Decimal('0.3')", "assert str(f('1.50')) == '1.50'"},
      "from decimal import Decimal\ndef f(s): return Decimal(s)");
  passes({"from fractions import Fraction\nassert f(1, 3) == Fraction(1, 3)",
          "assert f(1, 2) == 0.5", "assert str(f(2, 4)) == '1/2'"},
         "from fractions import Fraction\ndef f(a, b): return Fraction(a, b)");
  passes({"assert f(1) == {1, 2}", "assert g(1) == frozenset({1})", "assert h(1) == 1 + 2j",
          "assert k('é') == 'é'.encode()", "assert type(f(1)) is set"},
         "def f(x): return {x, x + 1}\ndef g(x): return frozenset([x])\ndef h(x): return "
         "complex(x, 2)\n"
         "def k(x): return x.encode()");
  passes(
      {"assert f(1, 2) == (1, 2)", "assert f(1, 2).x == 1", "assert f(1, 2)._fields == ('x', 'y')"},
      "from collections import namedtuple\nPoint = namedtuple('Point', 'x y')\n"
      "def f(x, y): return Point(x, y)");
  passes({"from collections import deque\nassert f([1, 2]) == deque([2, 1])",
          "assert list(f([1])) == [1]"},
         "from collections import deque\ndef f(x): return deque(reversed(x))");
  passes({"assert f([1]) == bytearray(b'\\x01')", "assert f([1]) == b'\\x01'"},
         "def f(x): return bytearray(x)");
  // All digits of long integers, in both directions.
  passes({"assert f(5000) == 10 ** 5000", "assert len(str(f(5000))) == 5001",
          "assert g(10 ** 6000) == 6001", "assert str(f(4400)) == '1' + '0' * 4400"},
         "def f(n): return 10 ** n\ndef g(n): return len(str(n))");
  fails({"import datetime\nassert f(2020) == datetime.date(2020, 1, 2)"},
        "import datetime\ndef f(y): return datetime.date(y, 1, 1)");
  fails({"from decimal import Decimal\nassert f(1) == Decimal(1)"},
        "class Decimal:\n  def __eq__(self, o): return True\ndef f(x): return Decimal()");
}

TEST_CASE("code objects: the program's own objects, by attributes, methods and text") {
  if (!tests::test_sandbox()) return;
  const std::string shapes =
      "from dataclasses import dataclass\n@dataclass\nclass Point:\n    x: int\n    y: int\n"
      "    def norm(self): return self.x ** 2 + self.y ** 2\n"
      "    def moved(self, dx=0, dy=0): return Point(self.x + dx, self.y + dy)\n"
      "    def __str__(self): return f'<{self.x},{self.y}>'\n"
      "class Stack:\n    def __init__(self): self.items = []\n"
      "    def push(self, x): self.items.append(x)\n    def pop(self): return self.items.pop()\n"
      "    def __len__(self): return len(self.items)\n    def __iter__(self): return "
      "iter(self.items)\n"
      "    def __getitem__(self, i): return self.items[i]\n"
      "class Node:\n    def __init__(self, val, next=None): self.val, self.next = val, next\n"
      "def add(p, q): return Point(p.x + q.x, p.y + q.y)\n"
      "def reverse(node):\n    last = None\n    while node:\n"
      "        node.next, node, last = last, node.next, node\n    return last\n";
  passes(
      {"p = add(Point(1, 2), Point(3, 4))\nassert p.x == 4 and p.y == 6",
       "assert str(p) == '<4,6>'", "assert f'{p}' == '<4,6>'",
       "assert repr(p) == 'Point(x=4, y=6)'", "assert p.norm() == 52",
       "assert p.moved(dx=1).x == 5", "assert isinstance(p, Point)", "assert (p.x, p.y) == (4, 6)",
       "p.x = 7\nassert p.norm() == 85", "assert not isinstance(5, Point)",
       "assert not hasattr(p, 'z')", "assert p == p", "assert p != 5 and p is not None"},
      shapes);
  passes({"s = Stack()\nfor i in range(3): s.push(i)\nassert len(s) == 3",
          "assert list(s) == [0, 1, 2]", "assert s.pop() == 2 and s[0] == 0",
          "assert 1 in s and 5 not in s", "assert s.items == [0, 1]",
          "try:\n  Stack().pop()\n  assert False\nexcept IndexError:\n  pass"},
         shapes);
  passes({"n = reverse(Node(1, Node(2, Node(3))))\nout = []\nwhile n:\n  out.append(n.val)\n  n = "
          "n.next\n"
          "assert out == [3, 2, 1]",
          "a = Node(1)\na.next = Node(2)\nassert reverse(a).val == 2"},
         shapes);
  passes({"v = Vector(1, 2) + Vector(3, 4)\nassert (v.x, v.y) == (4, 6)",
          "assert str(Vector(1, 2) * 2) == 'V(2,4)'", "assert str(-Vector(1, 2)) == 'V(-1,-2)'",
          "assert str(Vector(3, 3) - Vector(1, 2)) == 'V(2,1)'"},
         "class Vector:\n    def __init__(self, x, y): self.x, self.y = x, y\n"
         "    def __add__(self, o): return Vector(self.x + o.x, self.y + o.y)\n"
         "    def __sub__(self, o): return Vector(self.x - o.x, self.y - o.y)\n"
         "    def __mul__(self, k): return Vector(self.x * k, self.y * k)\n"
         "    def __neg__(self): return self * -1\n"
         "    def __str__(self): return f'V({self.x},{self.y})'\n");
  passes({"import asyncio\nassert asyncio.run(f(1)) == 2",
          "async def both(): return await asyncio.gather(f(1), f(2))\nassert asyncio.run(both()) "
          "== [2, 3]"},
         "import asyncio\nasync def f(x):\n    await asyncio.gather()\n    return x + 1\n");
  passes({"from collections import Counter\nassert f('aab') == Counter('aab')",
          "assert f('aab') == {'a': 2, 'b': 1}", "assert f('aab').most_common(1) == [('a', 2)]"},
         "from collections import Counter\ndef f(x): return Counter(x)");
  // Classes of the tests, with circles and long chains.
  const std::string node =
      "class Node:\n    def __init__(self, val=0, next=None, more=None):\n"
      "        self.val, self.next, self.more = val, next, more or []\n";
  const Json nodes = {
      {"test_setup_code", node},
      {"test_list",
       {"assert total(Node(1, Node(2, Node(3)))) == 6",
        "n = None\nfor i in range(5000): n = Node(i, n)\nassert total(n) == 12497500",
        "a = Node(1)\na.next = a\nassert has_circle(a) and not has_circle(Node(1))",
        "assert total(reverse(Node(1, Node(2)))) == 3 and reverse(Node(1, Node(2))).val == 2",
        "assert leaves(Node(1, None, [Node(2), Node(3, None, [Node(4)])])) == [2, 4]"}}};
  CHECK(verdict(nodes,
                "def total(n):\n    s = 0\n    while n: s, n = s + n.val, n.next\n    return s\n"
                "def has_circle(n):\n    seen = set()\n    while n:\n"
                "        if id(n) in seen: return True\n        seen.add(id(n))\n"
                "        n = n.next\n    return False\n"
                "def reverse(n):\n    last = None\n"
                "    while n: n.next, n, last = last, n.next, n\n    return last\n"
                "def leaves(n):\n    if not n.more: return [n.val]\n"
                "    return [v for m in n.more for v in leaves(m)]\n") == VerdictKind::kPassed);
  fails({"p = add(Point(1, 2), Point(3, 4))\nassert p.x == 5"}, shapes);
  fails({"assert str(add(Point(1, 2), Point(3, 4))) == '<4,7>'"}, shapes);
  passes({"assert make(3)(4) == 7", "assert compose(make(1), make(2))(0) == 3",
          "counter = count()\ncounter()\nassert counter() == 2"},
         "def make(n): return lambda x: x + n\ndef compose(f, g): return lambda x: f(g(x))\n"
         "def count():\n    n = 0\n    def step():\n        nonlocal n\n        n += 1\n        "
         "return n\n"
         "    return step\n");
}

TEST_CASE("code objects: functions as arguments, and lists that are changed in place") {
  if (!tests::test_sandbox()) return;
  passes({"assert twice(lambda v: v + 1, 1) == 3",
          "def half(x): return x / 2\nassert twice(half, 8) == 2.0",
          "assert twice(str.strip, ' a ') == 'a'", "assert twice(abs, -3) == 3",
          "import math\nassert twice(math.sqrt, 16) == 2.0", "assert twice(twice_of, 1) == 5",
          "from functools import partial\nassert twice(partial(pow, 2), 2) == 16",
          "seen = []\ntwice(lambda v: seen.append(v), 5)\nassert seen == [5, None]",
          "class Adder:\n  def add(self, x): return x + 10\nassert twice(Adder().add, 1) == 21"},
         "def twice(f, x): return f(f(x))\ndef twice_of(x): return x + 2\n");
  passes({"assert sort_by([3, -1, 2], key=abs) == [-1, 2, 3]",
          "assert sort_by(['b', 'A'], key=lambda s: s.lower()) == ['A', 'b']",
          "assert sort_by([(1, 'b'), (2, 'a')], __import__('operator').itemgetter(1)) == [(2, "
          "'a'), (1, 'b')]"},
         "def sort_by(items, key): return sorted(items, key=key)\n");
  passes(
      {"try:\n  call(lambda: 1 / 0)\n  assert False\nexcept ZeroDivisionError:\n  pass",
       "assert safe(lambda: int('x')) == 'ValueError'",
       "assert kind(ValueError, 'x') == \"ValueError('x')\""},
      "def call(f): return f()\ndef safe(f):\n    try: return f()\n"
      "    except ValueError as e: return type(e).__name__\ndef kind(t, x): return repr(t(x))\n");
  passes({"data = [3, 1, 2]\nassert sort(data) is None\nassert data == [1, 2, 3]",
          "m = [[1, 2], [3, 4]]\nrotate(m)\nassert m == [[3, 1], [4, 2]]",
          "d = {'a': 1}\nput(d)\nassert d == {'a': 1, 'b': 2}"},
         "def sort(items): items.sort()\n"
         "def rotate(m): m[:] = [list(r) for r in zip(*m[::-1])]\ndef put(d): d['b'] = 2\n");
  fails({"data = [3, 1, 2]\nsort(data)\nassert data == [1, 2, 3]"},
        "def sort(items): sorted(items)\n");
}

TEST_CASE("code objects: tests for pytest and unittest") {
  if (!tests::test_sandbox()) return;
  const std::string add =
      "def add(a, b):\n    if a is None: raise ValueError('no number: a')\n"
      "    return a + b\n";
  const auto test = [](const std::string& source) { return Json{{"test", source}}; };
  for (const char* source :
       {"from solution import add\ndef test_add():\n    assert add(1, 2) == 3\n"
        "def test_more():\n    assert add(-1, 1) == 0\n",
        "import pytest\nfrom solution import *\nfrom solution import "
        "add\n@pytest.mark.parametrize('a, b, c', "
        "[(1, 2, 3), (0, 0, 0)])\ndef test_add(a, b, c):\n    assert add(a, b) == c\n",
        "import pytest\nfrom solution import add\ndef test_error():\n    with "
        "pytest.raises(ValueError, "
        "match='no number') as e:\n        add(None, 1)\n    assert str(e.value) == 'no number: "
        "a'\n"
        "    pytest.raises(TypeError, add, 1, 'x')\n",
        "import pytest\nimport solution\ndef test_near():\n    assert solution.add(0.1, 0.2) == "
        "pytest.approx(0.3)\n    assert [solution.add(0.1, 0.2)] == pytest.approx([0.3])\n",
        "from solution import add\nclass TestAdd:\n    def setup_method(self): self.one = 1\n"
        "    def test_add(self): assert add(self.one, 2) == 3\n",
        "import unittest\nfrom solution import add\nclass AddTest(unittest.TestCase):\n"
        "    def setUp(self): self.one = 1\n    def test_add(self):\n        "
        "self.assertEqual(add(self.one, 2), 3)\n"
        "        with self.assertRaises(ValueError): add(None, 1)\n"
        "if __name__ == '__main__':\n    unittest.main()\n",
        "import pytest\nfrom solution import add\n@pytest.fixture\ndef one(): return 1\n"
        "def test_add(one):\n    assert add(one, 2) == 3\n"}) {
    CHECK(verdict(test(source), add) == VerdictKind::kPassed);
    CHECK(verdict(test(source), "def add(a, b):\n    return a - b - 1\n") != VerdictKind::kPassed);
    CHECK(is_payable(verdict(test(source), "x = 1\n")));
    CHECK(verdict(test(source), "x = 1\n") != VerdictKind::kPassed);
    CHECK(verdict(test(source), kAlwaysEqual + "def add(a, b): return Any()\n") !=
          VerdictKind::kPassed);
  }
  // What is not here is the tests' lack, not the program's.
  for (const char* source :
       {"from solution import add\ndef test_add(capsys):\n    assert add(1, 2) == 3\n",
        "import pytest\nfrom solution import add\ndef test_add():\n    pytest.importorskip('x')\n",
        "import pytest\n@pytest.mark.skip\ndef test_add():\n    pass\n",
        "import nonesuch\ndef test_add():\n    pass\n", "x = '''\ndef test_add(): pass\n'''\n"}) {
    CHECK(verdict(test(source), add) == VerdictKind::kGoldUnparseable);
  }
}

TEST_CASE("code objects: long integers in rows and in outputs") {
  if (!tests::test_sandbox()) return;
  const std::string digits = "1" + std::string(5000, '0');
  const auto task = [](const std::string& json) {
    auto value = value_from_json(json);
    REQUIRE_MESSAGE(value, value.error().message);
    auto read = read_code_task(*value, {});
    REQUIRE_MESSAGE(read, read.error().message);
    return *read;
  };
  const CodeTask call =
      task("{\"fn_name\": \"f\", \"inputs\": [[5000]], \"outputs\": [" + digits + "]}");
  CHECK(verify_code(*tests::test_sandbox(), call, "def f(n): return 10 ** n").is_passed());
  CHECK_FALSE(
      verify_code(*tests::test_sandbox(), call, "def f(n): return 10 ** n + 1").is_passed());
  const CodeTask stream =
      task("{\"inputs\": [" + digits + "], \"outputs\": [\"-" + digits + "\"]}");
  CHECK(verify_code(*tests::test_sandbox(), stream, "print(-int(input()))").is_passed());
}

TEST_CASE("code objects: installed packages are there only where they are asked for") {
  if (!tests::test_sandbox()) return;
  const Json stream = {{"inputs", {"1 2"}}, {"outputs", {"3"}}};
  const std::string sum =
      "import numpy as np\nprint(int(np.array(list(map(int, input().split()))).sum()))";
  const CodeVerdict without = judge(stream, sum);
  CHECK(without.kind == VerdictKind::kRuntimeError);
  // The rest of the machine is not there because of that.
  for (const char* code : {"import os\nprint(3 if os.path.exists('/etc/passwd') else 4)",
                           "import os\nprint(3 if os.path.exists('/root') else 4)",
                           "open('/usr/lib/python3/dist-packages/x.py', 'w')\nprint(3)"}) {
    CHECK(judge(stream, code, /*has_packages=*/true).kind != VerdictKind::kPassed);
  }
  // The standard library goes first.
  CHECK(judge(stream,
              "import sys, json\nprint(3 if 'dist-packages' not in json.__file__ and "
              "'packages' not in sys.path[0] else 4)",
              true)
            .kind == VerdictKind::kPassed);
  const CodeVerdict probe = judge(stream, "import numpy\nprint(3)", true);
  if (probe.reason.find("No module named 'numpy'") != std::string::npos) {
    std::printf("skipped: numpy is not installed (apt install python3-numpy)\n");
    return;
  }
  const CodeVerdict with = judge(stream, sum, true);
  CAPTURE(with.reason);
  CHECK(with.kind == VerdictKind::kPassed);
  const CodeVerdict values =
      judge(asserts({"assert f([1, 2, 3]) == 2", "assert list(g(3)) == [0, 1, 2]",
                     "import numpy as np\nassert np.array_equal(g(3), np.array([0, 1, 2]))",
                     "assert np.allclose(h([[2, 0], [0, 4]]), [[0.5, 0], [0, 0.25]])",
                     "assert g(3).sum() == 3"}),
            "import numpy as np\ndef f(x): return np.mean(x)\ndef g(n): return np.arange(n)\n"
            "def h(x): return np.linalg.inv(np.array(x, dtype=float))\n",
            true);
  CAPTURE(values.reason);
  CHECK(values.kind == VerdictKind::kPassed);
  const CodeVerdict called = judge({{"fn_name", "f"}, {"inputs", {{{1, 2, 3}}}}, {"outputs", {6}}},
                                   "import numpy as np\ndef f(x): return np.array(x).sum()", true);
  CAPTURE(called.reason);
  CHECK(called.kind == VerdictKind::kPassed);
}

}  // namespace
}  // namespace troupe::actors
