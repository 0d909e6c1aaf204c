#include "model/training/learning_rate.h"

#include "kernels/elementary.h"

namespace troupe::model {

double LearningRate::at(int64_t step) const {
  if (step <= warmup_steps) {
    return peak * static_cast<double>(step) / static_cast<double>(warmup_steps);
  }
  if (!is_cosine || steps <= warmup_steps) return peak;
  const double progress =
      static_cast<double>(step - warmup_steps) / static_cast<double>(steps - warmup_steps);
  constexpr double kPi = 3.141592653589793;
  const double cosine = 0.5 * (1.0 + kernels::cos_exact(kPi * progress));
  return peak * (final_fraction + (1.0 - final_fraction) * cosine);
}

}  // namespace troupe::model
