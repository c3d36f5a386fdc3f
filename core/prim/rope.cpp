// core/prim/rope.cpp: rotary position embedding (Su et al. 2021, arXiv:2104.09864).
#include "core/prim/rope.h"

#include <cmath>

#include "mlx/fast.h"
#include "mlx/ops.h"

namespace mlx::core {

using Arrays = std::vector<array>;

Arrays RoPE::compose(const Arrays& inputs) {
  Stream s = stream();
  const array& in = inputs[0];
  int length = in.shape(-2), half = dims_ / 2;
  const Dtype wide = in.dtype() == float64 ? float64 : float32;
  array x = astype(in, wide, s);
  // Angle of row t and pair i: scale * (offset + t) / freqs[i].
  array rows = astype(arange(length, s), wide, s);
  array offset = astype(inputs[1], wide, s);
  if (offset.size() > 1) {
    Shape shape(in.ndim() - 1, 1);
    shape[0] = static_cast<ShapeElem>(offset.size());
    offset = reshape(offset, shape, s);
  } else {
    offset = reshape(offset, {}, s);
  }
  array positions = multiply(add(rows, offset, s), array(scale_, wide), s);
  array inverse = inputs.size() > 2 ? reciprocal(astype(inputs[2], wide, s), s)
                                    : exp(multiply(arange(0.0, double(half), wide, s),
                                                   array(-std::log(double(base_)) / half, wide), s),
                                          s);
  array angle = multiply(expand_dims(positions, -1, s), inverse, s);
  array c = cos(angle, s), n = sin(angle, s);
  if (inverse_) n = negative(n, s);

  Shape start(in.ndim(), 0), stop = in.shape(), step(in.ndim(), 1);
  auto part = [&](int from, int to, int by) {
    start.back() = from, stop.back() = to, step.back() = by;
    return slice(x, start, stop, step, s);
  };
  array a = traditional_ ? part(0, dims_, 2) : part(0, half, 1);
  array b = traditional_ ? part(1, dims_, 2) : part(half, dims_, 1);
  array ra = subtract(multiply(a, c, s), multiply(b, n, s), s);
  array rb = add(multiply(a, n, s), multiply(b, c, s), s);
  array turned =
      traditional_ ? flatten(stack({ra, rb}, -1, s), -2, -1, s) : concatenate({ra, rb}, -1, s);
  if (dims_ < in.shape(-1)) turned = concatenate({turned, part(dims_, in.shape(-1), 1)}, -1, s);
  return {astype(turned, in.dtype(), s)};
}

Arrays RoPE::vjp(const Arrays& primals, const Arrays& cotangents, const std::vector<int>& argnums,
                 const Arrays& outputs) {
  if (argnums.size() != 1 || argnums[0] != 0)
    return Fused::vjp(primals, cotangents, argnums, outputs);
  Arrays inputs = primals;
  inputs[0] = cotangents[0];
  auto p = std::make_shared<RoPE>(stream(), dims_, traditional_, base_, scale_, !inverse_);
  return {array(primals[0].shape(), primals[0].dtype(), p, inputs)};
}

Arrays RoPE::jvp(const Arrays& primals, const Arrays& tangents, const std::vector<int>& argnums) {
  if (argnums.size() != 1 || argnums[0] != 0) return Fused::jvp(primals, tangents, argnums);
  Arrays inputs = primals;
  inputs[0] = tangents[0];
  auto p = std::make_shared<RoPE>(stream(), dims_, traditional_, base_, scale_, inverse_);
  return {array(primals[0].shape(), primals[0].dtype(), p, inputs)};
}

namespace fast {

array rope(const array& x, int dims, bool traditional, std::optional<float> base, float scale,
           const array& offset, const std::optional<array>& freqs, StreamOrDevice s) {
  auto fail = [](const std::string& why) { throw std::invalid_argument("[rope] " + why); };
  if (x.ndim() < 3) {
    fail("Input must have at least 3 dimensions but got input with " + std::to_string(x.ndim()) +
         " dimensions.");
  }
  if (!issubdtype(x.dtype(), floating)) {
    fail(std::string("Input must be a floating type but got ") + dtype_to_string(x.dtype()) + ".");
  }
  if (dims % 2 || dims < 0) fail("dims must be even but got " + std::to_string(dims) + ".");
  if (dims > x.shape(-1)) {
    fail("dims must not exceed the input's last dimension (" + std::to_string(x.shape(-1)) +
         ") but got " + std::to_string(dims) + ".");
  }
  if (base && freqs) fail("Only one of base or freqs can have a value.");
  if (!base && !freqs) fail("Neither base nor freqs has a value.");
  if (freqs && (freqs->ndim() != 1 || freqs->shape(0) != dims / 2)) {
    fail("freqs must be one dimensional with size " + std::to_string(dims / 2) + " but got shape " +
         to_string(freqs->shape()) + ".");
  }
  if (offset.ndim() > 1 ||
      (offset.size() != 1 && offset.size() != static_cast<size_t>(x.shape(0)))) {
    fail("offset must be a scalar or vector with " + std::to_string(x.shape(0)) +
         " elements but has shape " + to_string(offset.shape()) + ".");
  }
  if (!issubdtype(offset.dtype(), integer)) {
    fail(std::string("offset must be an integer but got type ") + dtype_to_string(offset.dtype()) +
         ".");
  }
  Stream stream = to_stream(s);
  Arrays inputs{x, astype(offset, int64, stream)};
  if (freqs) inputs.push_back(astype(*freqs, x.dtype() == float64 ? float64 : float32, stream));
  auto p = std::make_shared<RoPE>(stream, dims, traditional, base.value_or(0), scale, false);
  // The kernel turns in float32; float64 input is the composition's, in double throughout.
  if (x.dtype() == float64) return p->compose(inputs)[0];
  return array(x.shape(), x.dtype(), p, inputs);
}

array rope(const array& x, int dims, bool traditional, std::optional<float> base, float scale,
           int offset, const std::optional<array>& freqs, StreamOrDevice s) {
  return rope(x, dims, traditional, base, scale, array(offset, int64), freqs, s);
}

}  // namespace fast

}  // namespace mlx::core
