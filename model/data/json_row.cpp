#include "model/data/json_row.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "schemas/json_text.h"

namespace troupe::model {
namespace {

using nlohmann::json;

// Builds the value from the parser's events. Of the library's own builder it differs in what the
// header says.
class Builder final : public nlohmann::json_sax<json> {
 public:
  explicit Builder(json& root) : root_(root) {}

  std::string fault{};  // What ended reading.
  size_t offset = 0;

  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(number_integer_t value) override { return put(value); }
  bool number_unsigned(number_unsigned_t value) override { return put(value); }
  bool number_float(number_float_t, const string_t& text) override {
    return put(json::binary(std::vector<uint8_t>(text.begin(), text.end())));
  }
  bool string(string_t& value) override { return put(std::move(value)); }
  bool binary(binary_t&) override { return false; }  // No such thing in a text.

  bool start_object(size_t) override { return open(json::object()); }
  bool start_array(size_t) override { return open(json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    json& object = *open_.back();
    if (object.contains(name)) {
      fault = fmt::format("the key \"{}\" is there twice", name.substr(0, 60));
      return false;
    }
    slot_ = &object[name];
    return true;
  }

  bool parse_error(size_t position, const std::string&, const json::exception& error) override {
    offset = position > 0 ? position - 1 : 0;
    // The library's text has a place of its own and, behind it, what it read last.
    const std::string_view all(error.what());
    const size_t begin = all.find(": ");
    fault = begin == all.npos ? all : all.substr(begin + 2);
    return false;
  }

 private:
  template <class Value>
  bool put(Value&& value) {
    place(std::forward<Value>(value));
    return true;
  }

  json& place(json value) {
    if (open_.empty()) return root_ = std::move(value);
    json& parent = *open_.back();
    if (parent.is_object()) return *std::exchange(slot_, nullptr) = std::move(value);
    parent.push_back(std::move(value));
    return parent.back();
  }

  bool open(json value) {
    if (open_.size() >= kJsonDepthMax) {
      fault = fmt::format("is nested more than {} deep", kJsonDepthMax);
      return false;
    }
    // An element of a list stays where it is while it is open: only it may grow.
    open_.push_back(&place(std::move(value)));
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  json& root_;
  std::vector<json*> open_{};
  json* slot_ = nullptr;  // Of the key that was read last.
};

}  // namespace

std::optional<JsonFault> read_json(std::string_view text, json& out) {
  out = nullptr;
  Builder builder(out);
  if (json::sax_parse(text.begin(), text.end(), &builder)) return {};
  return JsonFault{std::min(builder.offset, text.size()), std::move(builder.fault)};
}

std::optional<std::string> number_text(const json& value) {
  if (value.is_number_integer()) return to_text(value);
  if (!value.is_binary()) return {};
  const auto& bytes = value.get_binary();
  return std::string(bytes.begin(), bytes.end());
}

bool is_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto byte = [&](size_t at) {
      return at < text.size() ? static_cast<unsigned char>(text[at]) : 0u;
    };
    const unsigned lead = byte(i);
    const size_t length = lead < 0x80 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (length > 1) {
      if (lead < 0xC2 || lead > 0xF4) return false;
      for (size_t j = 1; j < length; ++j) {
        if ((byte(i + j) & 0xC0) != 0x80) return false;
      }
      // Overlong forms, surrogates and what lies beyond U+10FFFF show in the second byte.
      const unsigned second = byte(i + 1);
      if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) ||
          (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F)) {
        return false;
      }
    }
    i += length;
  }
  return true;
}

std::string one_line(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return text;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

}  // namespace troupe::model
