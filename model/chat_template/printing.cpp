#include "model/chat_template/printing.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace troupe::model::chat_template {
namespace {

// The shortest digits that read the same, as Python places the point.
std::string float_text(double value, std::string_view infinity, std::string_view not_a_number) {
  if (std::isnan(value)) return std::string(not_a_number);
  if (std::isinf(value)) return (value < 0 ? "-" : "") + std::string(infinity);
  std::array<char, 64> buffer{};
  const auto scientific = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                        std::chars_format::scientific);
  const std::string text(buffer.data(), scientific.ptr);
  const size_t e = text.find('e');
  int exponent = 0;
  std::from_chars(text.data() + e + (text[e + 1] == '+' ? 2 : 1), text.data() + text.size(),
                  exponent);
  if (exponent < -4 || exponent >= 16) return text;
  const auto fixed =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed);
  std::string plain(buffer.data(), fixed.ptr);
  if (plain.find('.') == std::string::npos) plain += ".0";
  return plain;
}

// A text within quotes.
void append_quoted(const Text& text, Text& out) {
  const std::string& bytes = text.bytes();
  const bool has_single = bytes.find('\'') != std::string::npos;
  const char quote = has_single && bytes.find('"') == std::string::npos ? '"' : '\'';
  out.append_own({&quote, 1});
  size_t size = 0;
  for (size_t at = 0; at < bytes.size(); at += size) {
    const int32_t point = first_point(std::string_view(bytes).substr(at), size);
    const auto escaped = [&](std::string_view escape) { out.append_as(escape, text, at); };
    if (point == quote || point == '\\') {
      escaped(fmt::format("\\{}", bytes[at]));
    } else if (point == '\n') {
      escaped("\\n");
    } else if (point == '\r') {
      escaped("\\r");
    } else if (point == '\t') {
      escaped("\\t");
    } else if (is_printable(point) || point < 0) {
      out.append(text, at, size);
    } else if (point < 0x100) {
      escaped(fmt::format("\\x{:02x}", point));
    } else if (point < 0x10000) {
      escaped(fmt::format("\\u{:04x}", point));
    } else {
      escaped(fmt::format("\\U{:08x}", point));
    }
  }
  out.append_own({&quote, 1});
}

std::string scalar_text(const Value& value) {
  if (value.is_none()) return "None";
  if (const bool* truth = value.as_boolean()) return *truth ? "True" : "False";
  if (const double* number = value.as_float()) return float_text(*number, "inf", "nan");
  return fmt::format("{}", value.to_integer());
}

class Printer {
 public:
  Printer(Run& run, int line) : run_(run), line_(line) {}

  void append(const Value& value, Text& out) {
    if (!run_.spend(line_)) return;
    if (const Text* text = value.as_text()) {
      append_quoted(*text, out);
    } else if (value.is_undefined()) {
      out.append_own("Undefined");
    } else if (value.is_none() || value.is_number()) {
      out.append_own(scalar_text(value));
    } else if (const Dict* dict = value.as_dict()) {
      append_dict(*dict, out);
    } else if (const List* list = value.as_list()) {
      append_list(value, *list, out);
    } else {
      run_.fail(line_, fmt::format("{} cannot be printed", value.kind()));
    }
  }

 private:
  void append_list(const Value& value, const List& list, Text& out) {
    const bool is_tuple = list.flavour == List::Flavour::kTuple;
    if (!is_tuple && list.flavour != List::Flavour::kList) {
      run_.fail(line_,
                fmt::format("{} cannot be printed; use the filter 'list' or a loop", value.kind()));
      return;
    }
    out.append_own(is_tuple ? "(" : "[");
    for (const Value& item : list.items) {
      if (&item != &list.items.front()) out.append_own(", ");
      append(item, out);
    }
    if (is_tuple && list.items.size() == 1) out.append_own(",");
    out.append_own(is_tuple ? ")" : "]");
  }

  void append_dict(const Dict& dict, Text& out) {
    out.append_own("{");
    for (const auto& item : dict.items) {
      if (&item != &dict.items.front()) out.append_own(", ");
      append(item.first, out);
      out.append_own(": ");
      append(item.second, out);
    }
    out.append_own("}");
  }

  Run& run_;
  const int line_;
};

class JsonWriter {
 public:
  JsonWriter(Run& run, int line, const JsonStyle& style) : run_(run), line_(line), style_(style) {}

  void append(const Value& value, int64_t depth, Text& out) {
    if (!run_.spend(line_)) return;
    if (const Text* text = value.as_text()) {
      append_text(*text, out);
    } else if (value.is_none() || value.is_number()) {
      out.append_own(scalar(value));
    } else if (const Dict* dict = value.as_dict()) {
      append_dict(*dict, depth, out);
    } else if (const List* list = value.as_list();
               list != nullptr &&
               (list->flavour == List::Flavour::kList || list->flavour == List::Flavour::kTuple)) {
      append_list(*list, depth, out);
    } else if (value.is_undefined()) {
      run_.fail_undefined(line_, value);
    } else {
      run_.fail(line_, fmt::format("{} cannot be JSON", value.kind()));
    }
  }

 private:
  static std::string scalar(const Value& value) {
    if (value.is_none()) return "null";
    if (const bool* truth = value.as_boolean()) return *truth ? "true" : "false";
    if (const double* number = value.as_float()) return float_text(*number, "Infinity", "NaN");
    return fmt::format("{}", value.to_integer());
  }

  void append_text(const Text& text, Text& out) const {
    const std::string& bytes = text.bytes();
    out.append_own("\"");
    size_t size = 0;
    for (size_t at = 0; at < bytes.size(); at += size) {
      const int32_t point = first_point(std::string_view(bytes).substr(at), size);
      const std::string escape = escape_of(point);
      if (escape.empty()) {
        out.append(text, at, size);
      } else {
        out.append_as(escape, text, at);
      }
    }
    out.append_own("\"");
  }

  std::string escape_of(int32_t point) const {
    constexpr std::string_view kFrom = "\"\\\n\r\t\b\f";
    constexpr std::string_view kTo = "\"\\nrtbf";
    if (point < 0) return {};
    const size_t which = point < 128 ? kFrom.find(static_cast<char>(point)) : kFrom.npos;
    if (which != kFrom.npos) return {'\\', kTo[which]};
    if (point >= 0x20 && (!style_.is_ascii || point < 0x7F)) return {};
    if (point == 0x7F) return {};
    if (point < 0x10000) return fmt::format("\\u{:04x}", point);
    return fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + ((point - 0x10000) >> 10),
                       0xDC00 + ((point - 0x10000) & 0x3FF));
  }

  void new_line(int64_t depth, Text& out) {
    if (!style_.indent) return;
    const auto spaces = static_cast<size_t>(std::max<int64_t>(*style_.indent, 0) * depth);
    if (run_.can_hold(line_, out.size() / 64 + spaces)) {
      out.append_own("\n" + std::string(spaces, ' '));
    }
  }

  void append_list(const List& list, int64_t depth, Text& out) {
    out.append_own("[");
    for (const Value& item : list.items) {
      if (&item != &list.items.front()) out.append_own(style_.item_separator);
      new_line(depth + 1, out);
      append(item, depth + 1, out);
    }
    if (!list.items.empty()) new_line(depth, out);
    out.append_own("]");
  }

  void append_dict(const Dict& dict, int64_t depth, Text& out) {
    std::vector<const std::pair<Value, Value>*> items;
    for (const auto& item : dict.items) items.push_back(&item);
    if (style_.is_sorted) {
      const auto is_less = [this](const auto* a, const auto* b) {
        const Order order = order_of(a->first, b->first);
        if (order == Order::kNone) run_.fail(line_, "the keys of a dict have no order");
        return order == Order::kLess;
      };
      std::stable_sort(items.begin(), items.end(), is_less);
    }
    out.append_own("{");
    for (const auto* item : items) {
      if (item != items.front()) out.append_own(style_.item_separator);
      new_line(depth + 1, out);
      if (const Text* key = item->first.as_text()) {
        append_text(*key, out);
      } else {
        out.append_own("\"" + scalar(item->first) + "\"");
      }
      out.append_own(style_.key_separator);
      append(item->second, depth + 1, out);
    }
    if (!items.empty()) new_line(depth, out);
    out.append_own("}");
  }

  Run& run_;
  const int line_;
  const JsonStyle& style_;
};

}  // namespace

Text printed(Run& run, int line, const Value& value) {
  Text out;
  if (!run.spend(line, value.weight())) return out;
  if (const Text* text = value.as_text()) return *text;
  if (value.is_undefined()) return out;
  if (value.is_none() || value.is_number()) return Text::own(scalar_text(value));
  Printer(run, line).append(value, out);
  return out;
}

Text as_json(Run& run, int line, const Value& value, const JsonStyle& style) {
  Text out;
  if (run.spend(line, value.weight())) JsonWriter(run, line, style).append(value, 0, out);
  return out;
}

}  // namespace troupe::model::chat_template
