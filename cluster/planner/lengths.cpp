#include "cluster/planner/lengths.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "cluster/monitor/text.h"
#include "kernels/random.h"
#include "model/formats/file.h"
#include "schemas/json_text.h"
#include "schemas/nearest.h"

namespace troupe::cluster {
namespace {

constexpr size_t kLengthFileBytesMax = size_t{1} << 30;
constexpr double kPi = 3.14159265358979323846;

double at_step(const StepValues& values, double step) {
  if (step <= values.front().first) return values.front().second;
  for (size_t i = 1; i < values.size(); ++i) {
    const auto& [x0, y0] = values[i - 1];
    const auto& [x1, y1] = values[i];
    if (step <= x1) return y0 + (y1 - y0) * (step - x0) / (x1 - x0);
  }
  return values.back().second;
}

// Moments of a log-normal number that is cut at `limit`.
double cut_mean(double mu, double sigma, double limit) {
  if (sigma <= 0) return std::min(std::exp(mu), limit);
  const double a = (std::log(limit) - mu) / sigma;
  return std::exp(mu + sigma * sigma / 2) * normal_below(a - sigma) + limit * (1 - normal_below(a));
}

double cut_mean_square(double mu, double sigma, double limit) {
  if (sigma <= 0) return std::pow(std::min(std::exp(mu), limit), 2);
  const double a = (std::log(limit) - mu) / sigma;
  return std::exp(2 * mu + 2 * sigma * sigma) * normal_below(a - 2 * sigma) +
         limit * limit * (1 - normal_below(a));
}

}  // namespace

double normal_below(double z) { return 0.5 * std::erfc(-z / std::sqrt(2.0)); }

// Acklam's rational approximation (2003), and one step of Halley's method: to about 1e-15.
double normal_quantile(double share) {
  constexpr double a[] = {-3.969683028665376e+01, 2.209460984245205e+02,  -2.759285104469687e+02,
                          1.383577518672690e+02,  -3.066479806614716e+01, 2.506628277459239e+00};
  constexpr double b[] = {-5.447609879822406e+01, 1.615858368580409e+02, -1.556989798598866e+02,
                          6.680131188771972e+01, -1.328068155288572e+01};
  constexpr double c[] = {-7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e+00,
                          -2.549732539343734e+00, 4.374664141464968e+00,  2.938163982698783e+00};
  constexpr double d[] = {7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00,
                          3.754408661907416e+00};
  constexpr double kLow = 0.02425;
  double z = 0;
  const auto tail = [&](double q) {
    return (((((c[0] * q + c[1]) * q + c[2]) * q + c[3]) * q + c[4]) * q + c[5]) /
           ((((d[0] * q + d[1]) * q + d[2]) * q + d[3]) * q + 1);
  };
  if (share < kLow) {
    z = tail(std::sqrt(-2 * std::log(share)));
  } else if (share > 1 - kLow) {
    z = -tail(std::sqrt(-2 * std::log(1 - share)));
  } else {
    const double q = share - 0.5, r = q * q;
    z = (((((a[0] * r + a[1]) * r + a[2]) * r + a[3]) * r + a[4]) * r + a[5]) * q /
        (((((b[0] * r + b[1]) * r + b[2]) * r + b[3]) * r + b[4]) * r + 1);
  }
  const double error = normal_below(z) - share;
  const double u = error * std::sqrt(2 * kPi) * std::exp(z * z / 2);
  return z - u / (1 + z * u / 2);
}

LengthDistribution LengthDistribution::with_mean(double mean, LengthDistribution shape) {
  const double target = std::clamp((mean - shape.runaway * shape.limit) / (1 - shape.runaway),
                                   std::min(8.0, mean), 0.98 * shape.limit);
  double low = std::log(0.5), high = std::log(shape.limit) + 6 * shape.sigma;
  for (int i = 0; i < 50; ++i) {
    const double middle = (low + high) / 2;
    (cut_mean(middle, shape.sigma, shape.limit) < target ? low : high) = middle;
  }
  shape.mu = (low + high) / 2;
  return shape;
}

double LengthDistribution::mean() const {
  return (1 - runaway) * cut_mean(mu, sigma, limit) + runaway * limit;
}

double LengthDistribution::mean_square() const {
  return (1 - runaway) * cut_mean_square(mu, sigma, limit) + runaway * limit * limit;
}

double LengthDistribution::longer_than(double tokens) const {
  if (tokens >= limit) return 0;
  const double above = sigma > 0 ? 1 - normal_below((std::log(tokens) - mu) / sigma)
                                 : (std::exp(mu) > tokens ? 1.0 : 0.0);
  return runaway + (1 - runaway) * above;
}

double LengthDistribution::quantile(double share) const {
  const double of_ending = share / (1 - runaway);
  if (of_ending >= 1) return limit;
  if (sigma <= 0) return std::min(limit, std::exp(mu));
  if (of_ending <= 0) return 0;
  return std::min(limit, std::exp(mu + sigma * normal_quantile(of_ending)));
}

double LengthDistribution::longest(double count, double share) const {
  return quantile(std::pow(share, 1 / count));
}

double LengthCourse::mean_at(double step) const {
  return at_step(mean_by_step, step) * mean_scale * (step > late_from_step ? late_scale : 1);
}

double LengthCourse::limit_at(double step) const {
  double limit = limit_by_step.front().second;
  for (const auto& [begin, value] : limit_by_step) {
    if (step >= begin) limit = value;
  }
  return limit;
}

LengthDistribution LengthCourse::at(double step) const {
  return LengthDistribution::with_mean(
      mean_at(step),
      {.sigma = sigma, .within_share = within_share, .runaway = runaway, .limit = limit_at(step)});
}

std::vector<double> sample_lengths(const LengthDistribution& lengths, int64_t prompts,
                                   int64_t group, uint64_t seed, uint64_t round) {
  const double between = lengths.sigma * std::sqrt(1 - lengths.within_share);
  const double within = lengths.sigma * std::sqrt(lengths.within_share);
  std::vector<double> all;
  all.reserve(static_cast<size_t>(prompts * group));
  for (int64_t prompt = 0; prompt < prompts; ++prompt) {
    // A stream for each prompt, so that more of them do not move the others.
    const auto tag = static_cast<uint32_t>(prompt) & kernels::RandomStream::kBMax;
    kernels::RandomStream random(seed, kernels::StreamId::kPlan, round, tag);
    const auto normal = [&random] {  // Box and Muller, 1958; never log(0).
      const double radius = std::sqrt(-2 * std::log(1 - random.uniform()));
      return radius * std::cos(2 * kPi * random.uniform());
    };
    const double own = lengths.mu + between * normal();
    for (int64_t i = 0; i < group; ++i) {
      const double length = std::exp(own + within * normal());
      const bool never_ends = random.uniform() < lengths.runaway;
      all.push_back(
          std::max(1.0, std::round(never_ends ? lengths.limit : std::min(length, lengths.limit))));
    }
  }
  return all;
}

namespace {

// "mean=8000,p99=40000": the mean of what is generated, and a length that a share is not above.
Result<LengthTable> lengths_in_words(const std::string& text, const PlannerTables& tables) {
  const Error wrong = invalid_argument(fmt::format(
      "--lengths {}: must be the name of a table, a file, or mean=TOKENS,pPERCENT=TOKENS, e.g. "
      "mean=8000,p99=40000; tables: {}",
      printable(text), [&] {
        std::vector<std::string> names;
        for (const auto& [name, table] : tables.lengths) names.push_back(name);
        return nearest_first_list(text, names);
      }()));
  std::optional<double> mean, share, tokens;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view one = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), one.size() + 1));
    const size_t equals = one.find('=');
    if (equals == one.npos) return wrong;
    const auto number = [](std::string_view digits) -> std::optional<double> {
      double value = 0;
      const auto [end, error] =
          std::from_chars(digits.data(), digits.data() + digits.size(), value);
      if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
      return value;
    };
    const std::string_view key = one.substr(0, equals);
    const auto value = number(one.substr(equals + 1));
    if (!value || !(*value > 0) || !(*value < 1e8)) return wrong;
    if (key == "mean") {
      mean = value;
    } else if (key.starts_with('p')) {
      share = number(key.substr(1));
      tokens = value;
      if (!share || !(*share > 50) || !(*share < 100)) return wrong;
    } else {
      return wrong;
    }
  }
  if (!mean || !tokens) return wrong;
  // exp(z s - s^2 / 2) is the quantile beside the mean; it grows until s = z.
  const double z = normal_quantile(*share / 100);
  const double ratio = std::log(*tokens / *mean);
  if (!(ratio > 0) || ratio > z * z / 2) {
    return invalid_argument(fmt::format(
        "--lengths {}: no log-normal lengths have that mean and quantile; the quantile must be "
        "above the mean and at most {:.0f}",
        text, *mean * std::exp(z * z / 2)));
  }
  LengthTable table = tables.lengths.at("assumed");
  table.sigma = {z - std::sqrt(z * z - 2 * ratio), 0.05};
  table.runaway = {0, 0};
  table.mean_by_step = {{0, *mean}};
  table.mean_scale = {1, 0.05};
  return table;
}

// Means by step of a run that was recorded; the shape is assumed.
Result<LengthTable> recorded_lengths(const std::string& path, std::string_view text,
                                     const PlannerTables& tables) {
  LengthTable table = tables.lengths.at("assumed");
  table.mean_by_step.clear();
  int64_t line_number = 0;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    ++line_number;
    if (line.empty()) continue;
    const nlohmann::json one = parse_json(line);
    if (!one.is_object()) {
      return invalid_argument(
          fmt::format("{}:{}: not a JSON object; a run's metrics.jsonl has one "
                      "on each line",
                      path, line_number));
    }
    const auto mean = one.find("response_length/mean"), step = one.find("step");
    if (mean == one.end() || step == one.end() || !mean->is_number() || !step->is_number()) {
      continue;
    }
    const auto at = step->get<double>() - 1, value = mean->get<double>();
    if (value <= 0 || at < 0) continue;
    // A run that was gone on with repeats steps.
    if (table.mean_by_step.empty() || at > table.mean_by_step.back().first) {
      table.mean_by_step.emplace_back(at, value);
    }
  }
  if (table.mean_by_step.empty()) {
    return invalid_argument(fmt::format(
        "{}: no line has response_length/mean; name the metrics.jsonl of a run that has generated",
        path));
  }
  table.mean_scale = {1, 0.02};
  return table;
}

}  // namespace

Result<LengthTable> find_lengths(const std::string& text, const PlannerTables& tables) {
  if (const auto found = tables.lengths.find(text); found != tables.lengths.end()) {
    return found->second;
  }
  const bool is_toml = text.ends_with(".toml"), is_json = text.ends_with(".jsonl");
  if (!is_toml && !is_json) return lengths_in_words(text, tables);
  const auto content = model::read_file(text, kLengthFileBytesMax);
  if (!content) return content.error();
  if (is_json) return recorded_lengths(text, *content, tables);
  PlannerTables others = tables;
  if (Status read = read_tables(*content, text, others); !read) return read.error();
  std::optional<LengthTable> found;
  for (const auto& [name, table] : others.lengths) {
    if (tables.lengths.count(name) > 0) continue;
    if (found) {
      return invalid_argument(fmt::format("{}: has several [lengths.NAME]; keep one", text));
    }
    found = table;
  }
  if (found) return *std::move(found);
  return invalid_argument(fmt::format(
      "{}: has no [lengths.NAME] of its own; begin it with [lengths.mine] and like = \"r1\"",
      text));
}

}  // namespace troupe::cluster
