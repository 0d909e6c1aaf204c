// The order of the sum of a wave, which rounding tells apart.
#include "model/parallel/sum_in_eights.h"

#include <doctest/doctest.h>

#include <map>

#include "kernels/cpu/cpu_backend.h"
#include "kernels/random.h"

namespace troupe::model {
namespace {

const kernels::Backend& backend() { return *kernels::cpu_backends().front(); }

constexpr int64_t kCount = 37;

using Array = std::vector<float>;

// Positions that are there, with what is added.
std::map<int64_t, Array> summands(int64_t count_max, int64_t count) {
  kernels::RandomStream random(static_cast<uint64_t>(count), kernels::StreamId::kMakeData);
  std::map<int64_t, Array> made;
  for (int64_t i = 0; i < count; ++i) {
    Array& one = made[count == count_max
                          ? i
                          : static_cast<int64_t>(random.below(static_cast<uint64_t>(count_max)))];
    for (int64_t j = 0; j < kCount; ++j) {
      one.push_back(static_cast<float>((random.uniform() - 0.5) * 1e3));
    }
    one.resize(kCount);
  }
  return made;
}

// By definition: the sum over positions [begin, begin + block), of blocks of an eighth one after
// another.
std::optional<Array> defined(const std::map<int64_t, Array>& all, int64_t begin, int64_t block) {
  if (block == 1) {
    const auto found = all.find(begin);
    return found == all.end() ? std::nullopt : std::optional(found->second);
  }
  std::optional<Array> sum;
  for (int64_t i = 0; i < 8; ++i) {
    const auto part = defined(all, begin + i * (block / 8), block / 8);
    if (!part) continue;
    if (!sum) {
      sum = part;
      continue;
    }
    for (size_t j = 0; j < sum->size(); ++j) (*sum)[j] += (*part)[j];
  }
  return sum;
}

class Summing {
 public:
  explicit Summing(int64_t count_max) : sum_(backend(), kCount, count_max) {}
  void add(int64_t position, const Array& summand) {
    backend().upload(nullptr, place_.get().address, summand.data(), kCount * 4);
    sum_.add(nullptr, position, place_.get(), kCount);
  }
  std::optional<Array> finish() {
    const auto sum = sum_.finish(nullptr, kCount);
    if (!sum) return std::nullopt;
    Array values(kCount);
    backend().download(nullptr, values.data(), sum->address, kCount * 4);
    return values;
  }

 private:
  DeviceBuffer<float> place_{backend(), kCount};
  SumInEights sum_;
};

TEST_CASE("sum in eights: eight one after another, eight such sums one after another") {
  for (const int64_t count_max : {1, 2, 8, 16, 64, 512}) {
    const int64_t block = count_max <= 8 ? 8 : count_max <= 64 ? 64 : 512;
    Summing sum(count_max);
    CHECK_FALSE(sum.finish());
    for (const int64_t count : {count_max, count_max / 2, int64_t{1}}) {
      if (count == 0) continue;
      CAPTURE(count_max);
      CAPTURE(count);
      const auto all = summands(count_max, count);
      for (const auto& [position, summand] : all) sum.add(position, summand);
      CHECK(sum.finish() == defined(all, 0, block));
      CHECK_FALSE(sum.finish());
    }
  }
}

TEST_CASE("sum in eights: whole blocks may be added up elsewhere") {
  for (const int64_t members : {8, 64}) {
    CAPTURE(members);
    const auto all = summands(512, 300);
    const int64_t own = 512 / members;
    Summing whole(512);
    for (const auto& [position, summand] : all) whole.add(position, summand);
    const auto want = whole.finish();
    Summing owner(members);
    for (int64_t member = 0; member < members; ++member) {
      Summing part(own);
      for (const auto& [position, summand] : all) {
        if (position / own == member) part.add(position % own, summand);
      }
      if (const auto sum = part.finish()) owner.add(member, *sum);
    }
    CHECK(owner.finish() == want);
  }
}

}  // namespace
}  // namespace troupe::model
