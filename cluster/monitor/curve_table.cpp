#include "cluster/monitor/curve_table.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace troupe::cluster {
namespace {

constexpr float kNothing = std::numeric_limits<float>::quiet_NaN();

}  // namespace

void CurveTable::Mean::add(float value) {
  if (!std::isfinite(value)) return;
  sum += value;
  ++count;
}

float CurveTable::Mean::value() const {
  return count == 0 ? kNothing : static_cast<float>(sum / static_cast<double>(count));
}

size_t CurveTable::column(const std::string& name) {
  const auto found = columns_.find(name);
  if (found != columns_.end()) return found->second;
  if (columns_.size() == kCurvesMax) return kCurvesMax;
  columns_.emplace(name, values_.size());
  values_.emplace_back(x_.size(), kNothing);
  pending_values_.emplace_back();
  return values_.size() - 1;
}

double CurveTable::last_x() const { return pending_ > 0 ? pending_x_ : x_.back(); }

void CurveTable::add(double x, double time, const CurveValues& values) {
  if (!is_empty() && x <= last_x()) rewind(x);
  put(x, time, values);
}

void CurveTable::append(const CurveTable& later) {
  if (later.is_empty()) return;
  const double first = later.x_.empty() ? later.pending_x_ : later.x_.front();
  if (!is_empty() && first <= last_x()) rewind(first);
  CurveValues values(later.values_.size());
  for (const auto& [name, index] : later.columns_) values[index].first = name;
  for (size_t row = 0; row < later.x_.size(); ++row) {
    for (size_t i = 0; i < values.size(); ++i) values[i].second = later.values_[i][row];
    for (uint64_t i = 0; i < later.per_row_; ++i) put(later.x_[row], later.time_[row], values);
  }
  for (size_t i = 0; i < values.size(); ++i) values[i].second = later.pending_values_[i].value();
  for (uint64_t i = 0; i < later.pending_; ++i) put(later.pending_x_, later.pending_time_, values);
  ++generation_;
}

void CurveTable::put(double x, double time, const CurveValues& values) {
  for (const auto& [name, value] : values) {
    const size_t index = column(name);
    if (index < values_.size()) pending_values_[index].add(static_cast<float>(value));
  }
  // A row stands where its newest addition was.
  pending_x_ = x;
  pending_time_ = time;
  if (++pending_ < per_row_) return;
  x_.push_back(pending_x_);
  time_.push_back(pending_time_);
  for (size_t i = 0; i < values_.size(); ++i) {
    values_[i].push_back(pending_values_[i].value());
    pending_values_[i] = {};
  }
  pending_ = 0;
  if (x_.size() >= rows_max_) halve();
}

// Pairs become one row; an odd last one waits for its neighbour.
void CurveTable::halve() {
  const size_t half = x_.size() / 2;
  const bool is_odd = x_.size() % 2 == 1;
  if (is_odd) {
    pending_x_ = pending_ > 0 ? pending_x_ : x_.back();
    pending_time_ = pending_ > 0 ? pending_time_ : time_.back();
    pending_ += per_row_;
  }
  for (size_t c = 0; c < values_.size(); ++c) {
    std::vector<float>& column = values_[c];
    if (is_odd) pending_values_[c].add(column.back());
    for (size_t i = 0; i < half; ++i) {
      Mean mean;
      mean.add(column[2 * i]);
      mean.add(column[2 * i + 1]);
      column[i] = mean.value();
    }
    column.resize(half);
  }
  for (size_t i = 0; i < half; ++i) {
    x_[i] = x_[2 * i + 1];
    time_[i] = time_[2 * i + 1];
  }
  x_.resize(half);
  time_.resize(half);
  per_row_ *= 2;
}

void CurveTable::make_coarser(size_t rows_max) {
  while (x_.size() > rows_max) halve();
}

void CurveTable::rewind(double x) {
  const auto keep = static_cast<size_t>(std::lower_bound(x_.begin(), x_.end(), x) - x_.begin());
  x_.resize(keep);
  time_.resize(keep);
  for (auto& column : values_) column.resize(keep);
  pending_ = 0;
  std::fill(pending_values_.begin(), pending_values_.end(), Mean{});
  ++generation_;
}

CurvePoints CurveTable::read(const std::vector<std::string>& names, size_t points_max,
                             const CurveCursor& since) const {
  size_t per_point = 1;  // In rows.
  while (x_.size() / per_point > std::max<size_t>(2, points_max)) per_point *= 2;
  CurvePoints out;
  out.cursor.generation = generation_;
  out.cursor.bucket = per_row_ * per_point;
  const size_t whole = x_.size() / per_point;
  out.cursor.next = whole * out.cursor.bucket;
  const bool goes_on = since.generation == generation_ && since.bucket == out.cursor.bucket &&
                       since.next <= out.cursor.next && since.next % out.cursor.bucket == 0;
  out.from = goes_on ? since.next : 0;
  const size_t first = out.from / out.cursor.bucket;
  const bool has_rest = x_.size() > whole * per_point || pending_ > 0;
  for (size_t p = first; p < whole; ++p) {
    out.x.push_back(x_[(p + 1) * per_point - 1]);
    out.time.push_back(time_[(p + 1) * per_point - 1]);
  }
  if (has_rest) {
    out.x.push_back(pending_ > 0 ? pending_x_ : x_.back());
    out.time.push_back(pending_ > 0 ? pending_time_ : time_.back());
  }
  for (const std::string& name : names) {
    const auto found = columns_.find(name);
    if (found == columns_.end()) continue;
    const std::vector<float>& column = values_[found->second];
    std::vector<float>& points = out.curves[name];
    points.reserve(out.x.size());
    for (size_t p = first; p < whole; ++p) {
      Mean mean;
      for (size_t i = p * per_point; i < (p + 1) * per_point; ++i) mean.add(column[i]);
      points.push_back(mean.value());
    }
    if (!has_rest) continue;
    Mean mean = pending_values_[found->second];
    for (size_t i = whole * per_point; i < column.size(); ++i) mean.add(column[i]);
    points.push_back(mean.value());
  }
  return out;
}

std::vector<std::string> CurveTable::names() const {
  std::vector<std::string> names;
  for (const auto& [name, index] : columns_) names.push_back(name);
  return names;
}

}  // namespace troupe::cluster
