// core/prim/fft.h: discrete Fourier transforms along some axes.
#pragma once

#include <vector>

#include "core/prim/prim.h"

namespace mlx::core {

/**
 * Transforms axes one after the other, the last one named first or last where it is real; the
 * result is multiplied with scale. float64 inputs or outputs are computed in double throughout,
 * others in float.
 *   Complex  complex64 or float64 -> complex64
 *   ToHalf   float32 or float64 -> complex64: of the last of axes, n / 2 + 1 elements
 *   FromHalf complex64 or float64 -> float32 or float64: the inverse, with n elements
 */
class FFT final : public Prim<FFT> {
 public:
  enum Kind { Complex, ToHalf, FromHalf };
  static constexpr const char* kName = "FFT";
  static constexpr bool kFromShapes = true;
  /** n is the number of real elements along the last of axes (0 for Complex). */
  FFT(Stream stream, Kind kind, std::vector<int> axes, bool inverse, int n, double scale)
      : Prim(stream),
        kind_(kind),
        axes_(std::move(axes)),
        inverse_(inverse),
        n_(n),
        scale_(scale) {}
  auto fields() const { return std::tie(kind_, axes_, inverse_, n_, scale_); }
  Kind kind() const { return kind_; }
  const std::vector<int>& axes() const { return axes_; }
  bool inverse() const { return inverse_; }
  double scale() const { return scale_; }

  std::vector<array> vjp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&, const std::vector<array>&) override;
  std::vector<array> jvp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&) override;
  std::pair<std::vector<array>, std::vector<int>> vmap(const std::vector<array>&,
                                                       const std::vector<int>&) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override;

  /** The node that transforms a. */
  static array make(const array& a, Kind kind, const std::vector<int>& axes, bool inverse, int n,
                    double scale, Dtype dtype, Stream s);

 private:
  Kind kind_;
  std::vector<int> axes_;
  bool inverse_;
  int n_;
  double scale_;
};

}  // namespace mlx::core
