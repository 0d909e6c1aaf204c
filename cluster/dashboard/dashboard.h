// The web page of a head, and what other programs read there: /metrics for Prometheus, JSON below
// /api. Reads only; a run never waits for it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "cluster/gateway/host_port.h"
#include "cluster/monitor/watched_job.h"
#include "schemas/control.h"
#include "schemas/result.h"

namespace troupe::cluster {

// "off", or where to listen. kInvalidArgument for anything else.
struct DashboardSetting {
  bool is_on = true;
  HostPort address{.host = "127.0.0.1", .port = 0};
  // Nobody asked for it: a run does without where it cannot be had.
  bool is_default = true;
};
Result<DashboardSetting> parse_dashboard(const std::string& text);

class Dashboard {
 public:
  struct Options {
    HostPort address{};
    std::string keys{};  // The keys folder, where the address is not of this host only.
  };
  // Where it looks, while there is a head.
  struct Sources {
    std::function<void(ControlRequest, Asker, std::function<void(ControlReply)>)> ask{};
    // What is told of a job while it runs; nothing: its files have it.
    std::function<std::shared_ptr<WatchedJob>(uint64_t job)> find_job{};
  };

  // kInvalidArgument when the address or the keys cannot be used.
  static Result<std::unique_ptr<Dashboard>> open(const Options& options);
  ~Dashboard();

  // "http://127.0.0.1:8080/"
  std::string url() const;

  // Until hide(); else whoever asks is told to ask again. Nothing of the sources is called once
  // hide() has returned, but what was asked before may still be answered: the head ends first.
  void show(Sources sources);
  void hide();

 private:
  class Implementation;
  explicit Dashboard(std::unique_ptr<Implementation> implementation);
  std::unique_ptr<Implementation> implementation_;
};

// Until it ends, the dashboard shows these.
class Showing {
 public:
  // `dashboard`, where there is one, outlives it.
  Showing(Dashboard* dashboard, Dashboard::Sources sources) : dashboard_(dashboard) {
    if (dashboard_ != nullptr) dashboard_->show(std::move(sources));
  }
  ~Showing() { end(); }
  Showing(const Showing&) = delete;
  Showing& operator=(const Showing&) = delete;

  void end() {
    if (dashboard_ != nullptr) std::exchange(dashboard_, nullptr)->hide();
  }

 private:
  Dashboard* dashboard_;
};

}  // namespace troupe::cluster
