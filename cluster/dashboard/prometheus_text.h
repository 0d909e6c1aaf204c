// Numbers in the text format that Prometheus reads, version 0.0.4.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/monitor/run_board.h"
#include "schemas/control.h"

namespace troupe::cluster {

class PrometheusText {
 public:
  enum class Kind : uint8_t { kGauge, kCounter };
  using Labels = std::vector<std::pair<std::string, std::string>>;

  // All values of a name must be of one kind and have one help.
  void add(const std::string& name, Kind kind, std::string_view help, const Labels& labels,
           double value);
  // Names in order, each with its help, its type and its values.
  std::string text() const;

 private:
  struct Family {
    Kind kind = Kind::kGauge;
    std::string help{};
    std::vector<std::string> lines{};
  };
  std::map<std::string, Family> families_{};
};

void add_hosts(PrometheusText& out, const std::vector<HostSummary>& hosts);
void add_job(PrometheusText& out, const JobSummary& job);
void add_board(PrometheusText& out, const JobSummary& job, const RunBoard& board);

}  // namespace troupe::cluster
