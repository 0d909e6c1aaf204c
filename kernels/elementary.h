// exp, log, sin and cos in double, for what is computed one number at a time: rope tables, the
// objective, the log of a softmax's sum. The C library's differ between machines (with and without
// fused multiply-add); these are plain IEEE additions and multiplications and so are the same
// everywhere.
#pragma once

namespace troupe::kernels {

// Bound on the error over the ranges given, in units in the last place of the result; of sin and
// cos beyond pi/4 in units in the last place of 1/2..1, because they pass through zero there.
inline constexpr double kElementaryUlp = 2.5;

double exp_exact(double x);  // Any x; overflow gives infinity, underflow 0.
double log_exact(
    double x);  // x > 0 and finite, else: 0 gives -infinity, negative and NaN give NaN.
double sin_exact(double x);  // |x| <= 2^20
double cos_exact(double x);  // |x| <= 2^20

}  // namespace troupe::kernels
