#include "cluster/planner/round_model.h"

#include <algorithm>
#include <cmath>

#include "schemas/check.h"

namespace troupe::cluster {
namespace {

constexpr double kPieceTokens = 4096;  // A step's time grows with the context, slowly.
constexpr double kTailShare = 0.1;
constexpr double kAloneShare = 0.7;

// Calls piece(tokens, responses under way, position in the middle) along the curve.
template <class Piece>
void for_each_piece(const RoundLengths& lengths, Piece piece) {
  double begin = 0, alive = lengths.responses;
  for (const SurvivalPoint& point : lengths.curve) {
    const double width = point.tokens - begin;
    if (width > 0) {
      const double pieces = std::ceil(width / kPieceTokens);
      for (double i = 0; i < pieces; ++i) {
        const double middle = (i + 0.5) / pieces;
        piece(width / pieces, alive + (point.before - alive) * middle, begin + width * middle);
      }
    }
    begin = point.tokens;
    alive = point.after;
  }
}

// Times at which the curve's pieces end, to find who is under way then.
struct Drain {
  double seconds = 0;
  double alive = 0;
  double position = 0;
};

std::vector<Drain> drain(const RoundLengths& lengths, const RoundCosts& costs, double devices) {
  std::vector<Drain> all{{0, lengths.responses, 0}};
  for_each_piece(lengths, [&](double tokens, double alive, double position) {
    const double seconds = tokens / costs.rate(alive / devices, lengths.prompt_tokens + position);
    all.push_back({all.back().seconds + seconds, alive, position});
  });
  return all;
}

// Of the longest response, with nobody beside it.
double alone_seconds(const RoundLengths& lengths, const RoundCosts& costs) {
  const RoundLengths one{
      .curve = {{lengths.longest(), 1, 0}}, .responses = 1, .prompt_tokens = lengths.prompt_tokens};
  double seconds = 0;
  for_each_piece(one, [&](double tokens, double, double position) {
    seconds += tokens / costs.rate(1 / costs.devices, one.prompt_tokens + position);
  });
  return seconds;
}

// On average over workers, of which each has its share of the round to itself: some have a long
// response in it and some have none.
double share_seconds(const RoundLengths& lengths, const RoundCosts& costs) {
  if (!lengths.distribution || costs.workers <= 1) {
    return costs.prefill + generation_seconds(lengths, costs, costs.devices);
  }
  constexpr int kShares = 8;
  double sum = 0;
  for (int i = 0; i < kShares; ++i) {
    const RoundLengths share =
        expected_lengths(*lengths.distribution, lengths.responses / costs.workers,
                         lengths.prompt_tokens, (i + 0.5) / kShares);
    sum += generation_seconds(share, costs, costs.devices / costs.workers);
  }
  return costs.prefill + sum / kShares;
}

}  // namespace

RoundLengths expected_lengths(const LengthDistribution& lengths, double responses,
                              double prompt_tokens, double longest_share) {
  RoundLengths round{
      .responses = responses, .prompt_tokens = prompt_tokens, .distribution = lengths};
  const double mean = lengths.mean();
  round.tokens = responses * (mean + prompt_tokens);
  round.squares = responses * (lengths.mean_square() + 2 * mean * prompt_tokens +
                               prompt_tokens * prompt_tokens);
  const double longest = std::max(1.0, lengths.longest(responses, longest_share));
  if (lengths.sigma > 0) {
    // Even in the logarithm, finer than the tail needs.
    constexpr double kFrom = -2.75, kStep = 0.25;
    const double ratio = std::exp(lengths.sigma * kStep);
    double tokens = std::exp(lengths.mu + lengths.sigma * kFrom);
    for (double z = kFrom; tokens < longest && z < 6; z += kStep, tokens *= ratio) {
      const double longer =
          lengths.runaway + (1 - lengths.runaway) * 0.5 * std::erfc(z / std::sqrt(2.0));
      const double alive = std::max(1.0, responses * longer);
      round.curve.push_back({tokens, alive, alive});
    }
  } else {
    const double tokens = std::min(std::exp(lengths.mu), lengths.limit);
    const double left = responses * lengths.runaway;
    if (longest > tokens && left > 0) round.curve.push_back({tokens, responses, left});
  }
  const double last = round.curve.empty() ? responses : round.curve.back().after;
  const double at_end = lengths.sigma > 0
                            ? std::clamp(responses * lengths.longer_than(longest - 1), 1.0, last)
                            : last;
  round.curve.push_back({longest, at_end, 0});
  return round;
}

RoundLengths exact_lengths(std::vector<double> lengths, double prompt_tokens) {
  TROUPE_CHECK(!lengths.empty());
  std::sort(lengths.begin(), lengths.end());
  RoundLengths round{.responses = static_cast<double>(lengths.size()),
                     .prompt_tokens = prompt_tokens};
  double alive = round.responses;
  for (size_t i = 0; i < lengths.size();) {
    size_t end = i;
    while (end < lengths.size() && lengths[end] == lengths[i]) ++end;
    const double before = alive;
    alive -= static_cast<double>(end - i);
    round.curve.push_back({lengths[i], before, alive});
    i = end;
  }
  for (const double length : lengths) {
    round.tokens += length + prompt_tokens;
    round.squares += (length + prompt_tokens) * (length + prompt_tokens);
  }
  return round;
}

double peak_cache_tokens(const RoundLengths& lengths, double devices) {
  double peak = 0;
  for_each_piece(lengths, [&](double tokens, double alive, double position) {
    peak = std::max(peak, alive / devices * (lengths.prompt_tokens + position + tokens / 2));
  });
  return peak;
}

double generation_seconds(const RoundLengths& lengths, const RoundCosts& costs, double devices,
                          double* tail) {
  const double peak = peak_cache_tokens(lengths, devices);
  double queued = 0;
  RoundLengths last = lengths;
  if (peak > costs.cache_tokens) {
    // Only so many at once: the rest wait, and the last of them go on as a smaller round.
    const double share = costs.cache_tokens / peak;
    const double mean = lengths.tokens / lengths.responses - lengths.prompt_tokens;
    const double at_once = share * lengths.responses / devices;
    queued = (1 - share) * lengths.responses * mean /
             (devices * at_once * costs.rate(at_once, lengths.prompt_tokens + mean / 2));
    last.responses *= share;
    for (SurvivalPoint& point : last.curve) point.before *= share, point.after *= share;
  }
  double seconds = 0, in_tail = 0;
  for_each_piece(last, [&](double tokens, double alive, double position) {
    const double piece = tokens / costs.rate(alive / devices, lengths.prompt_tokens + position);
    seconds += piece;
    if (alive < kTailShare * lengths.responses) in_tail += piece;
  });
  if (tail != nullptr) *tail = in_tail;
  return queued + seconds;
}

RoundSeconds sync_round(const RoundLengths& lengths, const RoundCosts& costs) {
  RoundSeconds round{.verdict = costs.verdict,
                     .reference = costs.reference,
                     .learn = costs.learn,
                     .point = costs.point,
                     .change = costs.switching + costs.publish + costs.load};
  round.generate = costs.prefill + generation_seconds(lengths, costs, costs.devices, &round.tail);
  round.total =
      round.generate + round.verdict + round.reference + round.learn + round.point + round.change;
  // Nobody else would have to be there for most of the time that it takes.
  const double alone = alone_seconds(lengths, costs);
  round.bound = round.learn + round.reference > round.generate ? "the learner"
                : alone > kAloneShare * round.generate         ? "the longest response"
                                                               : "generation";
  return round;
}

RoundSeconds lag_round(const RoundLengths& lengths, const RoundCosts& costs, int64_t lag,
                       Stragglers stragglers) {
  RoundSeconds round{.verdict = costs.verdict,
                     .reference = costs.reference,
                     .learn = costs.learn,
                     .point = costs.point,
                     .change = costs.publish + costs.load};
  const double rounds = static_cast<double>(lag) + 1;
  const double learner = costs.reference + costs.learn + costs.point;
  const double after = costs.verdict + learner + costs.publish;
  const auto decide = [&](double generation) {
    const double waiting = (costs.load + round.generate + after) / rounds;
    round.total = std::max({learner, waiting, generation});
    round.bound = round.total == learner   ? "the learner"
                  : round.total == waiting ? "the longest response, its learning and the lag"
                  : stragglers == Stragglers::kHeld ? "workers that a long response holds"
                                                    : "generation";
  };
  if (stragglers == Stragglers::kHeld) {
    round.generate = costs.prefill + generation_seconds(lengths, costs, costs.devices, &round.tail);
    decide(share_seconds(lengths, costs) + costs.load);
    return round;
  }
  // The interval decides how many are moved, and these decide it: a few turns settle it.
  const double pack = costs.pack_responses;
  double interval = generation_seconds(lengths, costs, costs.devices);
  double generation = 0;
  for (int turn = 0; turn < 12; ++turn) {
    // Of all rounds under way but the newest.
    const std::vector<Drain> alone = drain(lengths, costs, costs.devices);
    double old = 0;
    for (double age = 1; age <= rounds; ++age) {
      for (const Drain& one : alone) {
        if (one.seconds <= age * interval) continue;
        old += one.alive;
        break;
      }
    }
    const double old_devices =
        old > 0 ? std::clamp(old / pack, costs.devices / costs.workers, costs.devices / 2) : 0;
    const double devices = costs.workers > 1 ? costs.devices - old_devices : costs.devices;
    double seconds = 0, tail = 0, moved_at = 0;
    double free_at = 0;  // From when on half of the workers can be free of it.
    for_each_piece(lengths, [&](double tokens, double alive, double position) {
      const double context = lengths.prompt_tokens + position;
      const bool is_moved = seconds > interval && costs.workers > 1;
      if (is_moved && moved_at == 0) {
        moved_at = seconds;
        seconds +=
            costs.move + alive * context / (std::max(1.0, old_devices) * costs.prefill_tokens);
      }
      const double density = is_moved
                                 ? std::min(pack, std::max(alive, old) / std::max(1.0, old_devices))
                                 : alive / devices;
      const double piece = tokens / costs.rate(density, context);
      seconds += piece;
      if (alive < kTailShare * lengths.responses) tail += piece;
      if (alive > pack * costs.devices / 2) free_at = seconds;
    });
    round.generate = costs.prefill + seconds;
    round.tail = tail;
    generation = free_at + costs.load;
    decide(generation);
    interval = (interval + round.total) / 2;
  }
  return round;
}

}  // namespace troupe::cluster
