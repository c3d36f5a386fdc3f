// core/prim/linalg_spectral.h: singular values, eigenvalues, and what is made of them.
#pragma once

#include <string>

#include "core/prim/linalg_parts.h"

namespace mlx::core {

/**
 * (m, n) = U diag(S) V^H: whole U (m, m), S (min(m, n)) descending, whole V^H (n, n); or S alone.
 * Derivatives after Giles, "An extended collection of matrix derivative results" (2008) and, for
 * the phases of complex vectors, Wan and Zhang (2019). Vectors whose singular values are equal, and
 * those beyond the min(m, n)-th among themselves, are taken not to turn into one another.
 */
class SVD final : public MatrixPrim<SVD> {
 public:
  SVD(Stream s, bool compute_uv) : MatrixPrim(s), compute_uv_(compute_uv) {}
  static constexpr const char* kName = "SVD";
  auto fields() const { return std::tie(compute_uv_); }
  bool state() const { return compute_uv_; }
  std::vector<array> jvp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&) override;
  std::vector<array> vjp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&, const std::vector<array>&) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override;
  std::vector<Dtype> dtypes(const std::vector<array>& inputs) const;

 private:
  bool compute_uv_;
};

/**
 * Eigenvalues (ascending) and vectors of hermitian matrices, of which one triangle ("L" or "U") is
 * read. Derivatives take the matrix as hermitian (Giles 2008).
 */
class Eigh final : public MatrixPrim<Eigh> {
 public:
  Eigh(Stream s, std::string uplo, bool compute_eigenvectors)
      : MatrixPrim(s), uplo_(std::move(uplo)), compute_eigenvectors_(compute_eigenvectors) {}
  static constexpr const char* kName = "Eigh";
  auto fields() const { return std::tie(uplo_, compute_eigenvectors_); }
  std::pair<std::string, bool> state() const { return {uplo_, compute_eigenvectors_}; }
  std::vector<array> jvp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&) override;
  std::vector<array> vjp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&, const std::vector<array>&) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override;
  std::vector<Dtype> dtypes(const std::vector<array>& inputs) const;

 private:
  std::string uplo_;
  bool compute_eigenvectors_;
};

/**
 * Eigenvalues and right eigenvectors of length 1 of any square matrices, as complex64. Derivatives
 * (Giles 2008; Boeddeker et al., "On the computation of complex-valued gradients", 2017) keep the
 * length of the vectors and leave their phase alone.
 */
class Eig final : public MatrixPrim<Eig> {
 public:
  Eig(Stream s, bool compute_eigenvectors)
      : MatrixPrim(s), compute_eigenvectors_(compute_eigenvectors) {}
  static constexpr const char* kName = "Eig";
  auto fields() const { return std::tie(compute_eigenvectors_); }
  bool state() const { return compute_eigenvectors_; }
  std::vector<array> jvp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&) override;
  std::vector<array> vjp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&, const std::vector<array>&) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override;
  std::vector<Dtype> dtypes(const std::vector<array>& inputs) const;

 private:
  bool compute_eigenvectors_;
};

/**
 * The Moore-Penrose inverse; singular values below 10 max(m, n) eps times the greatest count as
 * zero. Derivatives after Golub and Pereyra (1973), for a rank that stays.
 */
class PseudoInverse final : public MatrixPrim<PseudoInverse> {
 public:
  using MatrixPrim::MatrixPrim;
  static constexpr const char* kName = "PseudoInverse";
  std::tuple<> fields() const { return {}; }
  std::vector<array> jvp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&) override;
  std::vector<array> vjp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&, const std::vector<array>&) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override {
    const array& a = inputs[0];
    return {with_matrix(a.shape(), {a.shape(-1), a.shape(-2)})};
  }
  std::vector<Dtype> dtypes(const std::vector<array>& inputs) const { return {inputs[0].dtype()}; }
};

}  // namespace mlx::core
