// Many curves over one axis in bounded memory: full resolution until the table is full, then
// neighbours are averaged. Read from a cursor on, in at most so many points.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace troupe::cluster {

// A row's values by the name of their curve.
using CurveValues = std::vector<std::pair<std::string, double>>;

// Where a reader is. A new one begins with what is here.
struct CurveCursor {
  uint64_t generation = 0;  // Of the table that it was read from.
  uint64_t bucket = 0;      // Rows behind each point.
  uint64_t next = 0;        // The first row that is not behind a whole point yet.
};

// What a reader keeps of the points it has is those of rows before `from`; these follow.
struct CurvePoints {
  std::vector<double> x{};
  std::vector<double> time{};                          // Seconds since 1970.
  std::map<std::string, std::vector<float>> curves{};  // Not a number where there is no value.
  uint64_t from = 0;
  CurveCursor cursor{};
};

class CurveTable {
 public:
  // Four hours of one row a second.
  static constexpr size_t kRowsMax = 16'384;
  static constexpr size_t kCurvesMax = 192;  // Further names are not kept.

  explicit CurveTable(size_t rows_max = kRowsMax) : rows_max_(rows_max) {}

  // A row whose x is not above the last one's takes the place of all from there on: that part of
  // the history has been lived again.
  void add(double x, double time, const CurveValues& values);

  // All rows of another table, as if they had been added here.
  void append(const CurveTable& later);

  // Averages neighbours until there are at most so many rows.
  void make_coarser(size_t rows_max);

  // At most `points_max` (at least 2) and one that is not whole yet. Names without a curve are left
  // out.
  CurvePoints read(const std::vector<std::string>& names, size_t points_max,
                   const CurveCursor& since) const;

  std::vector<std::string> names() const;
  size_t num_rows() const { return x_.size(); }
  bool is_empty() const { return x_.empty() && pending_ == 0; }
  double last_x() const;  // Of a table that is not empty.

 private:
  // Of rows that are averaged; values that are not there do not count.
  struct Mean {
    double sum = 0;
    uint64_t count = 0;
    void add(float value);
    float value() const;
  };

  void put(double x, double time, const CurveValues& values);
  void halve();
  void rewind(double x);
  size_t column(const std::string& name);

  size_t rows_max_;
  uint64_t generation_ = 1;
  uint64_t per_row_ = 1;  // Additions behind each row.
  std::vector<double> x_{}, time_{};
  std::map<std::string, size_t> columns_{};
  std::vector<std::vector<float>> values_{};  // By column; each as long as x_.
  // Additions that are no row yet.
  uint64_t pending_ = 0;
  double pending_x_ = 0, pending_time_ = 0;
  std::vector<Mean> pending_values_{};
};

}  // namespace troupe::cluster
