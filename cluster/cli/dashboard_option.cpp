#include "cluster/cli/dashboard_option.h"

#include <fmt/format.h>

namespace troupe::cluster {

Result<std::unique_ptr<Dashboard>> open_dashboard(const std::string& text,
                                                  const std::string& keys) {
  const auto setting = parse_dashboard(text);
  if (!setting) return setting.error();
  if (!setting->is_on) return std::unique_ptr<Dashboard>();
  auto opened = Dashboard::open({.address = setting->address, .keys = keys});
  if (opened) return std::move(*opened);
  if (setting->is_default) return std::unique_ptr<Dashboard>();
  return invalid_argument("--dashboard: " + opened.error().message);
}

void print_dashboard(std::FILE* out, const Dashboard* dashboard) {
  if (dashboard == nullptr) return;
  fmt::print(out, "dashboard: {}\n", dashboard->url());
  std::fflush(out);
}

}  // namespace troupe::cluster
