// core/prim/linalg_factor.h: factorisations of matrices by elimination and reflection.
#pragma once

#include "core/prim/linalg_parts.h"

namespace mlx::core {

/**
 * (m, n) = Q (m, k) R (k, n) with k = min(m, n), Q's columns orthonormal, R upper triangular with a
 * real diagonal. Derivatives after Walter, Lehmann and Lamour, "On evaluating higher-order
 * derivatives of the QR decomposition of tall matrices with full column rank" (2012); the columns
 * beyond the m-th of a wide matrix follow from R = Q^H A.
 */
class QRF final : public MatrixPrim<QRF> {
 public:
  using MatrixPrim::MatrixPrim;
  static constexpr const char* kName = "QRF";
  std::tuple<> fields() const { return {}; }
  std::vector<array> jvp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&) override;
  std::vector<array> vjp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&, const std::vector<array>&) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override;
  std::vector<Dtype> dtypes(const std::vector<array>& inputs) const;
};

/**
 * The lower triangular L with a positive diagonal and L L^H = A, or its adjoint if upper; reads
 * only that triangle of A. Derivatives take A as hermitian (Murray, "Differentiation of the
 * Cholesky decomposition", 2016).
 */
class Cholesky final : public MatrixPrim<Cholesky> {
 public:
  Cholesky(Stream s, bool upper) : MatrixPrim(s), upper_(upper) {}
  static constexpr const char* kName = "Cholesky";
  auto fields() const { return std::tie(upper_); }
  bool state() const { return upper_; }
  std::vector<array> jvp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&) override;
  std::vector<array> vjp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&, const std::vector<array>&) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override {
    return {inputs[0].shape()};
  }
  std::vector<Dtype> dtypes(const std::vector<array>& inputs) const { return {inputs[0].dtype()}; }

 private:
  bool upper_;
};

/**
 * Of (m, n), with k = min(m, n): L without its diagonal of ones and U, in one (m, n) matrix; the
 * row that each of the k rows was exchanged with, in order; and the order of the m rows of A in
 * which they are L U. Derivatives keep the order of the rows.
 */
class LUF final : public MatrixPrim<LUF> {
 public:
  using MatrixPrim::MatrixPrim;
  static constexpr const char* kName = "LUF";
  std::tuple<> fields() const { return {}; }
  std::vector<array> jvp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&) override;
  std::vector<array> vjp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&, const std::vector<array>&) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override;
  std::vector<Dtype> dtypes(const std::vector<array>& inputs) const;
};

}  // namespace mlx::core
