// FLINT's fractions as values. Nothing here checks sizes: that is the caller's duty before every
// operation, because a failed allocation inside GMP ends the process.
#pragma once

#include <flint/fmpq.h>

#include <cstdint>
#include <utility>

namespace troupe::actors {

class Rational {
 public:
  Rational() { fmpq_init(raw_); }
  explicit Rational(long value) : Rational() { fmpq_set_si(raw_, value, 1); }
  Rational(const Rational& other) : Rational() { fmpq_set(raw_, other.raw_); }
  Rational(Rational&& other) noexcept : Rational() { fmpq_swap(raw_, other.raw_); }
  Rational& operator=(Rational other) noexcept {
    fmpq_swap(raw_, other.raw_);
    return *this;
  }
  ~Rational() { fmpq_clear(raw_); }

  fmpq* raw() { return raw_; }
  const fmpq* raw() const { return raw_; }
  fmpz* numerator() { return fmpq_numref(raw_); }
  const fmpz* numerator() const { return fmpq_numref(raw_); }
  fmpz* denominator() { return fmpq_denref(raw_); }
  const fmpz* denominator() const { return fmpq_denref(raw_); }

  bool is_zero() const { return fmpq_is_zero(raw_) != 0; }
  bool is_integer() const { return fmpz_is_one(denominator()) != 0; }
  int sign() const { return fmpq_sgn(raw_); }
  // Of numerator and denominator together.
  uint64_t bits() const { return fmpz_bits(numerator()) + fmpz_bits(denominator()); }
  bool operator==(const Rational& other) const { return fmpq_equal(raw_, other.raw_) != 0; }

 private:
  fmpq_t raw_;
};

}  // namespace troupe::actors
