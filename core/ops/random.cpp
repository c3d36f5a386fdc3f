// core/ops/random.cpp: distributions over random bits. The same key gives the same values in every
// build and on every device, so the order and dtype of each operation here is part of the contract.
#include "mlx/random.h"

#include <chrono>
#include <cmath>
#include <limits>

#include "core/prim/random_bits.h"
#include "core/prim/symmetric_root.h"

namespace mlx::core::random {

namespace {

array key_or_next(const std::optional<array>& key) {
  return key ? *key : KeySequence::default_().next();
}

/** The largest value below 1. */
array below_one(Dtype dtype) {
  switch (dtype.val()) {
    case Dtype::Val::float16:
      return array(1.0f - 0x1p-11f, dtype);
    case Dtype::Val::bfloat16:
      return array(1.0f - 0x1p-8f, dtype);
    default:
      return array(1.0f - 0x1p-24f, dtype);
  }
}

array sqrt_2(Dtype dtype) { return array(std::sqrt(2.0), dtype); }

/** In (-1, 1), float32. */
array symmetric(const Shape& shape, const std::optional<array>& key, StreamOrDevice s) {
  return uniform(array(std::nextafter(-1.0f, 0.0f)), array(1.0f), shape, float32, key, s);
}

}  // namespace

KeySequence::KeySequence(uint64_t seed) : key_(key(seed)) {}

void KeySequence::seed(uint64_t seed) { set_state(key(seed)); }

array KeySequence::next() {
  std::lock_guard lock(mutex_);
  auto [rest, out] = split(key_);
  key_ = rest;
  return out;
}

array KeySequence::state() const {
  std::lock_guard lock(mutex_);
  return key_;
}

void KeySequence::set_state(array key) {
  std::lock_guard lock(mutex_);
  key_ = std::move(key);
}

KeySequence& KeySequence::default_() {
  static KeySequence sequence(std::chrono::high_resolution_clock::now().time_since_epoch().count());
  return sequence;
}

array key(uint64_t seed) {
  return array({static_cast<uint32_t>(seed >> 32), static_cast<uint32_t>(seed)}, uint32);
}

void seed(uint64_t seed) { KeySequence::default_().seed(seed); }

array bits(const Shape& shape, int width, const std::optional<array>& key_, StreamOrDevice s) {
  if (width != 1 && width != 2 && width != 4) {
    throw std::invalid_argument("[bits] Bit width must be in {1, 2, 4} but " +
                                std::to_string(width) + " was provided.");
  }
  for (auto n : shape) {
    if (n < 0) throw std::invalid_argument("[bits] Negative dimensions not allowed.");
  }
  array key = key_or_next(key_);
  if (key.dtype() != uint32) {
    throw std::invalid_argument(std::string("[bits] Expected key type uint32 but received ") +
                                dtype_to_string(key.dtype()) + ".");
  }
  if (key.shape() != Shape{2}) {
    throw std::invalid_argument("[bits] Expected key shape (2) but received " +
                                to_string(key.shape()) + ".");
  }
  Dtype dtype = width == 4 ? uint32 : width == 2 ? uint16 : uint8;
  return array(shape, dtype, std::make_shared<RandomBits>(to_stream(s), shape, width), {key});
}

array split(const array& key, int num, StreamOrDevice s) { return bits({num, 2}, 4, key, s); }

std::pair<array, array> split(const array& key, StreamOrDevice s) {
  array two = bits({2, 2}, 4, key, s);
  return {reshape(slice(two, {0, 0}, {1, 2}, s), {2}, s),
          reshape(slice(two, {1, 0}, {2, 2}, s), {2}, s)};
}

array uniform(const array& low, const array& high, const Shape& shape, Dtype dtype,
              const std::optional<array>& key, StreamOrDevice s) {
  if (!issubdtype(dtype, floating)) {
    throw std::invalid_argument(
        "[uniform] Can only generate uniform numbers with real floating point type.");
  }
  auto stream = to_stream(s);
  array lo = astype(low, dtype, stream);
  array range = subtract(astype(high, dtype, stream), lo, stream);
  if (broadcast_shapes(shape, range.shape()) != shape) {
    throw std::invalid_argument("[uniform] Cannot generate random values of shape " +
                                to_string(shape) + " from broadcasted shape " +
                                to_string(range.shape()) + ".");
  }
  auto unit = [&] {
    if (dtype == float64) {
      // 53 bits from two words.
      Shape pairs = shape;
      pairs.push_back(2);
      array words = bits(pairs, 4, key, stream);
      Shape start(pairs.size(), 0), stop = pairs;
      stop.back() = 1;
      array a = reshape(slice(words, start, stop, stream), shape, stream);
      start.back() = 1, stop.back() = 2;
      array b = reshape(slice(words, start, stop, stream), shape, stream);
      a = astype(right_shift(a, array(5u), stream), float64, stream);
      b = astype(right_shift(b, array(6u), stream), float64, stream);
      return multiply(add(multiply(a, array(0x1p26, float64), stream), b, stream),
                      array(0x1p-53, float64), stream);
    }
    array words = astype(bits(shape, 4, key, stream), float32, stream);
    array u = astype(multiply(words, array(0x1p-32f), stream), dtype, stream);
    return minimum(u, below_one(dtype), stream);
  };
  return add(multiply(range, unit(), stream), lo, stream);
}

array uniform(const Shape& shape, Dtype dtype, const std::optional<array>& key, StreamOrDevice s) {
  return uniform(array(0.0f, float32), array(1.0f, float32), shape, dtype, key, s);
}

array normal(const Shape& shape, Dtype dtype, const std::optional<array>& loc,
             const std::optional<array>& scale, const std::optional<array>& key, StreamOrDevice s) {
  if (!issubdtype(dtype, inexact)) {
    throw std::invalid_argument("[normal] Only floating point and complex64 types are supported.");
  }
  auto stream = to_stream(s);
  auto samples = [&] {
    if (dtype == complex64) {
      // Both parts have half of the variance: sqrt(2) erfinv, scaled by sqrt(1/2).
      Shape pairs = shape;
      pairs.push_back(2);
      array z = erfinv(symmetric(pairs, key, stream), stream);
      z = squeeze(view(z, complex64, stream), static_cast<int>(shape.size()), stream);
      return scale ? multiply(z, astype(*scale, dtype, stream), stream) : z;
    }
    array z = astype(erfinv(symmetric(shape, key, stream), stream), dtype, stream);
    array width = sqrt_2(dtype);
    if (scale) width = multiply(width, astype(*scale, dtype, stream), stream);
    return multiply(width, z, stream);
  };
  return loc ? add(astype(*loc, dtype, stream), samples(), stream) : samples();
}

array multivariate_normal(const array& mean, const array& cov, const Shape& shape, Dtype dtype,
                          const std::optional<array>& key, StreamOrDevice s) {
  auto refuse = [](const char* text) {
    throw std::invalid_argument(std::string("[multivariate_normal] ") + text);
  };
  if (dtype != float32) refuse("dtype must be float32.");
  if (mean.ndim() < 1) refuse("mean must have at least one dimension.");
  if (cov.ndim() < 2) refuse("cov must have at least two dimensions.");
  if (cov.shape(-1) != cov.shape(-2)) refuse("last two dimensions of cov must be equal.");
  if (mean.shape(-1) != cov.shape(-1)) refuse("mean and cov must have compatible shapes.");
  auto stream = to_stream(s);
  Shape full(mean.shape().begin(), mean.shape().end() - 1);
  full = broadcast_shapes(full, Shape(cov.shape().begin(), cov.shape().end() - 2));
  full = broadcast_shapes(full, shape);
  full.push_back(mean.shape(-1));
  array z = normal(full, float32, std::nullopt, std::nullopt, key, stream);
  array c = astype(cov, float32, stream);
  array root(c.shape(), float32, std::make_shared<SymmetricRoot>(stream), {c});
  array spread = squeeze(matmul(expand_dims(z, -2, stream), root, stream), -2, stream);
  return add(spread, astype(mean, float32, stream), stream);
}

array randint(const array& low, const array& high, const Shape& shape, Dtype dtype,
              const std::optional<array>& key, StreamOrDevice s) {
  if (issubdtype(dtype, inexact)) {
    throw std::invalid_argument("[randint] randint only accepts integer dtypes and bool.");
  }
  auto stream = to_stream(s);
  array u = floor(uniform(low, high, shape, float32, key, stream), stream);
  array out = astype(u, dtype, stream);
  if (dtype == bool_) return out;
  array last = subtract(astype(high, dtype, stream), array(1, dtype), stream);
  return maximum(minimum(out, last, stream), astype(low, dtype, stream), stream);
}

array bernoulli(const array& p, const Shape& shape, const std::optional<array>& key,
                StreamOrDevice s) {
  if (!issubdtype(p.dtype(), floating)) {
    throw std::invalid_argument("[bernoulli] bernoulli probability `p` must be a float type.");
  }
  auto stream = to_stream(s);
  if (broadcast_shapes(p.shape(), shape) != shape) {
    throw std::invalid_argument("[bernoulli] shape " + to_string(shape) +
                                " is not compatible with p of shape " + to_string(p.shape()) + ".");
  }
  // One unit in the last place above p: a word that rounds to 1 counts as less than a p of 1.
  array bound = multiply(astype(p, float32, stream), array(1.0f + 0x1p-23f), stream);
  array u = multiply(astype(bits(shape, 4, key, stream), float32, stream), array(0x1p-32f), stream);
  return less(u, bound, stream);
}

array bernoulli(const array& p, const std::optional<array>& key, StreamOrDevice s) {
  return bernoulli(p, p.shape(), key, s);
}

array bernoulli(const std::optional<array>& key, StreamOrDevice s) {
  return bernoulli(array(0.5f), Shape{}, key, s);
}

array truncated_normal(const array& lower, const array& upper, const Shape& shape, Dtype dtype,
                       const std::optional<array>& key, StreamOrDevice s) {
  if (!issubdtype(dtype, floating)) {
    throw std::invalid_argument("[trunc_normal] trunc_normal only accepts floating point dtypes.");
  }
  auto stream = to_stream(s);
  array root = sqrt_2(dtype);
  array lo = astype(lower, dtype, stream), hi = astype(upper, dtype, stream);
  array a = erf(divide(lo, root, stream), stream), b = erf(divide(hi, root, stream), stream);
  array out = multiply(root, erfinv(uniform(a, b, shape, dtype, key, stream), stream), stream);
  return maximum(minimum(out, hi, stream), lo, stream);
}

array truncated_normal(const array& lower, const array& upper, Dtype dtype,
                       const std::optional<array>& key, StreamOrDevice s) {
  return truncated_normal(lower, upper, broadcast_shapes(lower.shape(), upper.shape()), dtype, key,
                          s);
}

array gumbel(const Shape& shape, Dtype dtype, const std::optional<array>& key, StreamOrDevice s) {
  auto stream = to_stream(s);
  array u = uniform(shape, dtype, key, stream);
  return negative(log(negative(log(u, stream), stream), stream), stream);
}

namespace {

int logits_axis(const array& logits, int axis) {
  int ndim = static_cast<int>(logits.ndim());
  if (axis < -ndim || axis >= ndim) {
    throw std::out_of_range("[categorical] Invalid axis " + std::to_string(axis) +
                            " for logits with " + std::to_string(ndim) + " dimensions.");
  }
  return axis < 0 ? axis + ndim : axis;
}

/** The greatest of logits with gumbel noise is a sample. */
array sample(const array& logits, const Shape& shape, int axis, const std::optional<array>& key,
             StreamOrDevice s) {
  return argmax(add(gumbel(shape, float32, key, s), logits, s), axis, false, s);
}

}  // namespace

array categorical(const array& logits, int axis, const Shape& shape,
                  const std::optional<array>& key, StreamOrDevice s) {
  int ax = logits_axis(logits, axis);
  Shape reduced = logits.shape();
  reduced.erase(reduced.begin() + ax);
  if (broadcast_shapes(shape, reduced) != shape) {
    throw std::invalid_argument("[categorical] Requested shape " + to_string(shape) +
                                " is not broadcast compatible with reduced logits shape " +
                                to_string(reduced) + ".");
  }
  int from_end = ax - static_cast<int>(logits.ndim());  // the axis, counted from the end
  int at = static_cast<int>(shape.size()) + 1 + from_end;
  Shape full = shape;
  full.insert(full.begin() + at, logits.shape(ax));
  return sample(logits, full, at, key, s);
}

array categorical(const array& logits_, int axis, int num_samples, const std::optional<array>& key,
                  StreamOrDevice s) {
  int ax = logits_axis(logits_, axis);
  Shape shape = logits_.shape();
  shape.push_back(num_samples);
  return sample(expand_dims(logits_, -1, s), shape, ax, key, s);
}

array categorical(const array& logits, int axis, const std::optional<array>& key,
                  StreamOrDevice s) {
  return sample(logits, logits.shape(), logits_axis(logits, axis), key, s);
}

array laplace(const Shape& shape, Dtype dtype, const float loc, const float scale,
              const std::optional<array>& key, StreamOrDevice s) {
  if (!issubdtype(dtype, floating)) {
    throw std::invalid_argument("[laplace] Only real floating point types are supported.");
  }
  auto stream = to_stream(s);
  array u = astype(symmetric(shape, key, stream), promote_types(dtype, float32), stream);
  array out = multiply(sign(u, stream), log1p(negative(abs(u, stream), stream), stream), stream);
  out = astype(out, dtype, stream);
  if (scale != 1) out = multiply(array(scale, dtype), out, stream);
  if (loc != 0) out = add(array(loc, dtype), out, stream);
  return out;
}

array permutation(const array& x, int axis, const std::optional<array>& key, StreamOrDevice s) {
  int ax = normalize_axis_index(axis, static_cast<int>(x.ndim()), "[permutation] ");
  return take(x, permutation(x.shape(ax), key, s), ax, s);
}

array permutation(int x, const std::optional<array>& key, StreamOrDevice s) {
  return argsort(bits({x}, 4, key, s), 0, s);
}

}  // namespace mlx::core::random
