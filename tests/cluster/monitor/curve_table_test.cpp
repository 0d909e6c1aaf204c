#include "cluster/monitor/curve_table.h"

#include <doctest/doctest.h>

#include <cmath>

namespace troupe::cluster {
namespace {

CurveTable filled(size_t rows, size_t rows_max = CurveTable::kRowsMax) {
  CurveTable table(rows_max);
  for (size_t i = 1; i <= rows; ++i) {
    const auto x = static_cast<double>(i);
    table.add(x, 1'000 + x, {{"a", x}, {"even", i % 2 == 0 ? 1.0 : NAN}});
  }
  return table;
}

TEST_CASE("curve_table: all rows are there until it is full, and then their means") {
  const CurveTable table = filled(10);
  const CurvePoints points = table.read({"a", "even", "unknown"}, 100, {});
  REQUIRE(points.x.size() == 10);
  CHECK(points.x[9] == 10);
  CHECK(points.time[9] == 1'010);
  CHECK(points.curves.at("a")[3] == 4);
  CHECK(std::isnan(points.curves.at("even")[0]));
  CHECK(points.curves.count("unknown") == 0);

  const CurveTable full = filled(16, 16);
  CHECK(full.num_rows() == 8);
  const CurvePoints halved = full.read({"a", "even"}, 100, {});
  CHECK(halved.curves.at("a") == std::vector<float>{1.5, 3.5, 5.5, 7.5, 9.5, 11.5, 13.5, 15.5});
  CHECK(halved.curves.at("even")[7] == 1);
  CHECK(halved.x.back() == 16);
}

TEST_CASE("curve_table: four hours at one second do not grow it, and a day only coarsens it") {
  const CurveTable day = filled(86'400);
  CHECK(day.num_rows() <= CurveTable::kRowsMax);
  const CurvePoints points = day.read({"a"}, 600, {});
  CHECK(points.x.size() <= 601);
  CHECK(points.x.back() == 86'400);
  // A mean of means of equal weight is the mean.
  double sum = 0;
  for (size_t i = 0; i + 1 < points.x.size(); ++i) sum += points.curves.at("a")[i];
  const auto whole = static_cast<double>(points.cursor.next);
  CHECK(sum * static_cast<double>(points.cursor.bucket) ==
        doctest::Approx(whole * (whole + 1) / 2).epsilon(1e-6));
}

TEST_CASE("curve_table: a reader with a cursor has the same points as one without") {
  CurveTable table(64);
  CurveCursor cursor;
  std::vector<double> x;
  std::vector<float> a;
  size_t sent = 0;
  for (size_t i = 1; i <= 1'000; ++i) {
    table.add(static_cast<double>(i), static_cast<double>(i), {{"a", static_cast<double>(i)}});
    if (i % 7 != 0) continue;
    const CurvePoints more = table.read({"a"}, 20, cursor);
    const size_t kept = more.from / more.cursor.bucket;
    REQUIRE(kept <= x.size());
    x.resize(kept);
    a.resize(kept);
    x.insert(x.end(), more.x.begin(), more.x.end());
    a.insert(a.end(), more.curves.at("a").begin(), more.curves.at("a").end());
    sent += more.x.size();
    cursor = more.cursor;
    const CurvePoints all = table.read({"a"}, 20, {});
    CHECK(all.x == x);
    CHECK(all.curves.at("a") == a);
  }
  CHECK(sent < 142 * 10);  // Not everything each time.
}

TEST_CASE("curve_table: a history that is lived again takes the place of what was") {
  CurveTable table = filled(10);
  const CurveCursor before = table.read({"a"}, 100, {}).cursor;
  table.add(8, 2'000, {{"a", 80}});
  const CurvePoints points = table.read({"a"}, 100, before);
  CHECK(points.from == 0);  // What the reader had is no more.
  CHECK(points.x == std::vector<double>{1, 2, 3, 4, 5, 6, 7, 8});
  CHECK(points.curves.at("a").back() == 80);
}

TEST_CASE("curve_table: rows of another table follow, with their weight") {
  CurveTable table = filled(6);
  CurveTable later(4);
  for (size_t i = 5; i <= 12; ++i) {
    later.add(static_cast<double>(i), 0, {{"b", static_cast<double>(i)}, {"a", 1.0}});
  }
  table.append(later);
  const CurvePoints points = table.read({"a", "b"}, 100, {});
  // Rows of the later one begin at x = 6: two additions each.
  CHECK(points.x.front() == 1);
  CHECK(points.x.back() == 12);
  CHECK(std::isnan(points.curves.at("b").front()));
  CHECK(points.curves.at("b").back() > 10);
}

TEST_CASE("curve_table: names are bounded") {
  CurveTable table;
  for (size_t i = 0; i < 1'000; ++i) {
    table.add(static_cast<double>(i), 0, {{"name" + std::to_string(i), 1.0}});
  }
  CHECK(table.names().size() == CurveTable::kCurvesMax);
}

}  // namespace
}  // namespace troupe::cluster
