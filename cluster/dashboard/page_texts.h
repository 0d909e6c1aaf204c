// The page and what it needs, as they travel inside the program.
#pragma once

#include <string_view>

namespace troupe::cluster {

struct PageText {
  std::string_view path{};
  std::string_view content_type{};
  std::string_view text{};
};

// Nothing's text is empty.
PageText find_page_text(std::string_view path);

}  // namespace troupe::cluster
