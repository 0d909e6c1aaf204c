#include "cluster/cli/daemon_settings.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <filesystem>
#include <functional>
#include <variant>

#include "cluster/jobs/toml_type.h"
#include "cluster/monitor/text.h"
#include "model/formats/file.h"
#include "schemas/nearest.h"
#include "schemas/overloaded.h"

namespace troupe::cluster {
namespace {

constexpr size_t kFileBytesMax = 256 << 10;
constexpr const char* kHead = "head";
constexpr const char* kJoin = "join";

using Text = std::string DaemonSettings::*;
struct Path {
  std::string DaemonSettings::*where;
};
using Texts = std::vector<std::string> DaemonSettings::*;
struct Paths {
  std::vector<std::string> DaemonSettings::*where;
};
using Slots = std::optional<uint32_t> DaemonSettings::*;

struct Row {
  std::string_view table;
  std::string_view key;
  std::variant<Text, Path, Texts, Paths, Slots> where;
};

// A key is called like its flag, but for `head`, which is --join.
const std::vector<Row>& rows() {
  using S = DaemonSettings;
  static const std::vector<Row> all = {
      {kHead, "home", Path{&S::home}},
      {kHead, "server", Path{&S::server}},
      {kHead, "listen", &S::listen},
      {kHead, "listen_nodes", &S::listen_nodes},
      {kHead, "keys", Path{&S::keys}},
      {kHead, "slots", &S::slots},
      {kHead, "allow_paths", Paths{&S::allowed_paths}},
      {kHead, "trusted_verifiers", &S::trusted_verifiers},
      {kHead, "dashboard", &S::dashboard},
      {kJoin, "head", &S::join},
      {kJoin, "key", Path{&S::key}},
      {kJoin, "home", Path{&S::home}},
      {kJoin, "address", &S::address},
      {kJoin, "shared_home", Path{&S::shared_home}},
      {kJoin, "slots", &S::slots},
  };
  return all;
}

class Reader {
 public:
  Reader(const std::string& path, DaemonSettings& settings)
      : path_(path), folder_(std::filesystem::absolute(path).parent_path()), settings_(settings) {}

  Status read(const toml::table& file) {
    for (const auto& [name, node] : file) {
      if (name.str() != kHead && name.str() != kJoin) return unknown_top(name.str(), node);
      if (!node.is_table()) {
        return at(node, fmt::format("{} must be a table, not {}", name.str(), value_text(node)));
      }
    }
    const toml::table* const head = file[kHead].as_table();
    const toml::table* const join = file[kJoin].as_table();
    if (head == nullptr && join == nullptr) {
      return invalid_argument(path_ + ": there is neither a table [head] nor a table [join]");
    }
    // The other table is read as well: what is wrong in a file is wrong on every host.
    DaemonSettings other = settings_;
    const bool is_joining = !settings_.join.empty();
    if (head != nullptr && join != nullptr && !is_joining && !settings_.is_head) {
      return invalid_argument(
          path_ + ": it has both [head] and [join]: say --head, or --join HOST:PORT, too");
    }
    if (is_joining && join == nullptr) {
      return at(*head,
                "it is a head's, and --join is of a host that joins one: there is no [join]");
    }
    if (settings_.is_head && head == nullptr) {
      return at(*join,
                "it is of a host that joins a head, and --head says another: there is no [head]");
    }
    const bool takes_join = join != nullptr && !settings_.is_head;
    if (head != nullptr) {
      if (Status read = read_table(kHead, *head, takes_join ? other : settings_); !read)
        return read;
    }
    if (join == nullptr) return ok();
    if (Status read = read_table(kJoin, *join, takes_join ? settings_ : other); !read) return read;
    if (takes_join && settings_.join.empty()) {
      return at(*join, "[join] has no head = \"HOST:PORT\"");
    }
    return ok();
  }

 private:
  Error at(const toml::node& node, const std::string& message) const {
    return invalid_argument(
        fmt::format("{}:{}: {}", path_, node.source().begin.line, printable(message)));
  }

  Error unknown_top(std::string_view name, const toml::node& node) const {
    std::string places;
    for (const Row& row : rows()) {
      if (row.key == name) places += fmt::format("{}[{}]", places.empty() ? "" : " or ", row.table);
    }
    if (!places.empty()) return at(node, fmt::format("{} belongs into {}", name, places));
    return at(node,
              fmt::format("unknown {} {}; the tables are {}", node.is_table() ? "table" : "key",
                          name, nearest_first_list(name, {kHead, kJoin})));
  }

  Status read_table(std::string_view table, const toml::table& keys, DaemonSettings& settings) {
    for (const auto& [key, node] : keys) {
      const std::string name(key.str());
      std::vector<std::string> names;
      const Row* found = nullptr;
      for (const Row& row : rows()) {
        if (row.table != table) continue;
        names.emplace_back(row.key);
        if (row.key == name) found = &row;
      }
      if (found == nullptr) {
        return at(node, fmt::format("unknown key {}.{}; [{}] has {}", table, name, table,
                                    nearest_first_list(name, names)));
      }
      if (Status filled = fill(*found, node, settings); !filled) return filled;
    }
    return ok();
  }

  Status fill(const Row& row, const toml::node& node, DaemonSettings& settings) {
    const auto wrong = [&](const std::string& wanted) {
      return at(node, fmt::format("{}.{} must be {}, not {}", row.table, row.key, wanted,
                                  value_text(node)));
    };
    // Nothing of these is ever empty on purpose.
    const auto text = [&]() -> Result<std::string> {
      const auto value = node.value_exact<std::string>();
      if (!value) return wrong("a string");
      if (value->empty()) return at(node, fmt::format("{}.{} is empty", row.table, row.key));
      return *value;
    };
    const auto texts = [&]() -> Result<std::vector<std::string>> {
      const toml::array* const list = node.as_array();
      if (list == nullptr) return wrong("a list of strings");
      std::vector<std::string> values;
      for (const toml::node& one : *list) {
        const auto value = one.value_exact<std::string>();
        if (!value || value->empty()) return wrong("a list of strings");
        values.push_back(*value);
      }
      return values;
    };
    return std::visit(Overloaded{
                          [&](Text where) -> Status {
                            auto value = text();
                            if (!value) return value.error();
                            settings.*where = std::move(*value);
                            return ok();
                          },
                          [&](const Path& one) -> Status {
                            const auto value = text();
                            if (!value) return value.error();
                            settings.*one.where = (folder_ / *value).lexically_normal().string();
                            return ok();
                          },
                          [&](Texts where) -> Status {
                            auto values = texts();
                            if (!values) return values.error();
                            settings.*where = std::move(*values);
                            return ok();
                          },
                          [&](const Paths& some) -> Status {
                            auto values = texts();
                            if (!values) return values.error();
                            for (std::string& one : *values)
                              one = (folder_ / one).lexically_normal().string();
                            settings.*some.where = std::move(*values);
                            return ok();
                          },
                          [&](Slots where) -> Status {
                            const auto value = node.value_exact<int64_t>();
                            if (!value || *value < 0 || *value > int64_t{kHostSlotsMax}) {
                              return wrong(fmt::format("an integer from 0 to {}", kHostSlotsMax));
                            }
                            settings.*where = static_cast<uint32_t>(*value);
                            return ok();
                          },
                      },
                      row.where);
  }

  const std::string& path_;
  const std::filesystem::path folder_;
  DaemonSettings& settings_;
};

}  // namespace

// toml++ reports by exception; this is the only place that sees one.
Status read_daemon_file(std::string_view text, const std::string& path,
                        DaemonSettings& settings) try {
  const toml::table file = toml::parse(text, path);
  return Reader(path, settings).read(file);
} catch (const toml::parse_error& error) {
  return invalid_argument(fmt::format("{}:{}: not TOML: {}", path, error.source().begin.line,
                                      printable(std::string(error.description()))));
}

Status load_daemon_file(const std::string& path, DaemonSettings& settings) {
  const auto text = model::read_file(path, kFileBytesMax);
  if (!text) return text.error();
  return read_daemon_file(*text, path, settings);
}

}  // namespace troupe::cluster
