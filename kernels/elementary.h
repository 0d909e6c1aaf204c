// exp, log, sin and cos in double, for what is computed one number at a time: rope tables, the
// objective, the log of a softmax's sum. The C library's differ between machines (with and without
// fused multiply-add); these are plain IEEE additions and multiplications and so are the same
// everywhere. Relative error below 4e-16 * 4 over the ranges given.
#pragma once

namespace troupe::kernels {

double exp_exact(double x);  // Any x; overflow gives infinity, underflow 0.
double log_exact(double x);  // x > 0 and finite, else: 0 gives -infinity, negative and NaN give NaN.
double sin_exact(double x);  // |x| <= 2^20
double cos_exact(double x);  // |x| <= 2^20

}  // namespace troupe::kernels
