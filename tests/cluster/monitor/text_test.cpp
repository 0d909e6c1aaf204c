#include "cluster/monitor/text.h"

#include <doctest/doctest.h>

using namespace troupe::cluster;

TEST_CASE("text: sizes as people read them") {
  CHECK(byte_count(0) == "0 bytes");
  CHECK(byte_count(1) == "1 byte");
  CHECK(byte_count(999) == "999 bytes");
  CHECK(byte_count(1'000) == "1.0 kB");
  CHECK(byte_count(999'949) == "999.9 kB");
  CHECK(byte_count(999'950) == "1.0 MB");
  CHECK(byte_count(7'600'000'000) == "7.6 GB");
  CHECK(byte_count(UINT64_MAX) == "18446.7 PB");
}

TEST_CASE("text: what is no UTF-8 becomes a sign for that, and the rest stays as it is") {
  CHECK(valid_utf8("a\n\x1bé日🙂") == "a\n\x1bé日🙂");
  CHECK(valid_utf8("\xec\x80z\xff") == "\ufffd\ufffdz\ufffd");
  CHECK(valid_utf8("\xc0\x80") == "\ufffd\ufffd");
}

TEST_CASE("text: wrapping keeps lines, and no line is longer than its columns") {
  CHECK(wrapped("one⏎⏎three", 10) == std::vector<std::string>{"one", "", "three"});
  CHECK(wrapped("abcdef", 4) == std::vector<std::string>{"abcd", "ef"});
  CHECK(wrapped("日本語", 4) == std::vector<std::string>{"日本", "語"});
  CHECK(wrapped("日", 1) == std::vector<std::string>{"·"});
  CHECK(wrapped("", 4).empty());
  CHECK(wrapped("a", 0).empty());
  // Marks that take no column cannot make a line of a megabyte.
  std::string marks = "e";
  for (int i = 0; i < 1'000; ++i) marks += "\u0301";
  for (const std::string& line : wrapped(marks, 10)) CHECK(line.size() <= 2 * 40);
}
