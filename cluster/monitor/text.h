// Text for a terminal: widths, bars, curves, and model output made harmless.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::cluster {

// Control characters (escape sequences among them), direction marks and invalid UTF-8 are replaced,
// line breaks become a sign of their own: what a model wrote must not drive the terminal.
std::string printable(std::string_view text);

// The same text where it is UTF-8; each byte that is not becomes U+FFFD.
std::string valid_utf8(std::string_view text);

// Columns that printable text takes.
int columns_of(std::string_view text);

// The longest beginning of `text` that fits, with an ellipsis when something is missing.
std::string fit(std::string_view text, int columns);

// Printable text in lines of at most `columns`, each of its own lines beginning a new one. Marks
// that take no column do not make a line longer than a few times that.
std::vector<std::string> wrapped(std::string_view text, int columns);

// `share` in [0, 1] of `columns` filled.
std::string bar(double share, int columns);

// A curve in braille dots, `rows` lines of `columns` characters, first value left; more values than
// dots are averaged. `low` is the bottom and `high` the top.
std::vector<std::string> curve(std::span<const float> values, int columns, int rows, double low,
                               double high);

std::string duration(double seconds);   // "0:07", "12:34", "1:02:03"
std::string count(double value);        // "950", "12.3k", "4.56M"
std::string byte_count(uint64_t size);  // "950 bytes", "1.2 MB", "7.6 GB", in powers of 1,000.

}  // namespace troupe::cluster
