// core/prim/convolution.h: convolutions over any number of spatial axes, channels last.
#pragma once

#include "core/prim/prim.h"

namespace mlx::core {

/** One convolution's geometry, a number for each spatial axis. */
struct ConvolutionGeometry {
  std::vector<int> stride;
  std::vector<int> pad_lo;  // negative: the input is cut
  std::vector<int> pad_hi;
  std::vector<int> kernel_dilation;
  std::vector<int> input_dilation;
  int groups = 1;
  bool flip = false;  // the weight is read from its far end

  bool operator==(const ConvolutionGeometry&) const = default;
  auto fields() const {
    return std::tie(stride, pad_lo, pad_hi, kernel_dilation, input_dilation, groups, flip);
  }
};

/** `value` as an int. Throws std::invalid_argument, naming `what`, where it doesn't fit. */
int convolution_size(int64_t value, const char* what);

/**
 * Inputs x [N, ..., C] and w [O, ..., C / groups] of one dtype; the result is [N, ..., O]:
 *   y[n, i, o] = sum over t, c of x[n, (i stride + t kernel_dilation - pad_lo) / input_dilation, c]
 *                                 * w[o, t, c],
 * where positions that no value of x has count as zero.
 */
class Convolution final : public Prim<Convolution> {
 public:
  Convolution(Stream s, ConvolutionGeometry geometry) : Prim(s), geometry_(std::move(geometry)) {}
  Convolution(Stream s, const std::vector<int>& kernel_strides, const std::vector<int>& padding_lo,
              const std::vector<int>& padding_hi, const std::vector<int>& kernel_dilation,
              const std::vector<int>& input_dilation, const int groups = 1, const bool flip = false)
      : Convolution(s, {kernel_strides, padding_lo, padding_hi, kernel_dilation, input_dilation,
                        groups, flip}) {}
  static constexpr const char* kName = "Convolution";
  static constexpr bool kFromShapes = true;  // transposed ones pad by the size of the kernel
  auto fields() const { return std::tie(geometry_); }
  auto state() const { return fields::values(geometry_.fields()); }
  const ConvolutionGeometry& geometry() const { return geometry_; }

  /** [N, ..., O] of an input and a weight of these shapes. Throws std::invalid_argument. */
  static Shape conv_out_shape(const Shape& in_shape, const Shape& wt_shape,
                              const std::vector<int>& strides, const std::vector<int>& pads_lo,
                              const std::vector<int>& pads_hi,
                              const std::vector<int>& kernel_dilation,
                              const std::vector<int>& input_dilation);

  std::vector<array> jvp(const std::vector<array>& primals, const std::vector<array>& tangents,
                         const std::vector<int>& argnums) override;
  std::vector<array> vjp(const std::vector<array>& primals, const std::vector<array>& cotangents,
                         const std::vector<int>& argnums,
                         const std::vector<array>& outputs) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override;

 private:
  ConvolutionGeometry geometry_;
};

/**
 * The gradient with respect to the weight of that convolution: inputs x [N, ..., C] and the
 * cotangent g [N, ..., O]; the result is [O, kernel..., C / groups], float32 or wider.
 */
class ConvolutionWeightGradient final : public Prim<ConvolutionWeightGradient> {
 public:
  ConvolutionWeightGradient(Stream s, ConvolutionGeometry geometry, std::vector<int> kernel)
      : Prim(s), geometry_(std::move(geometry)), kernel_(std::move(kernel)) {}
  static constexpr const char* kName = "ConvolutionWeightGradient";
  static constexpr bool kFromShapes = true;
  auto fields() const { return std::tie(geometry_, kernel_); }
  const ConvolutionGeometry& geometry() const { return geometry_; }
  const std::vector<int>& kernel() const { return kernel_; }

  std::vector<array> jvp(const std::vector<array>& primals, const std::vector<array>& tangents,
                         const std::vector<int>& argnums) override;
  std::vector<array> vjp(const std::vector<array>& primals, const std::vector<array>& cotangents,
                         const std::vector<int>& argnums,
                         const std::vector<array>& outputs) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>& inputs,
                                                       const std::vector<int>& axes) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override;

 private:
  ConvolutionGeometry geometry_;
  std::vector<int> kernel_;
};

}  // namespace mlx::core
