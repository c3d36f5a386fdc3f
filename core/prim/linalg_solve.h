// core/prim/linalg_solve.h: inverses, systems of equations, determinants.
#pragma once

#include "core/prim/linalg_parts.h"

namespace mlx::core {

/** The inverse; of the lower or upper triangle if tri. Derivative: dX = -X dA X. */
class Inverse final : public MatrixPrim<Inverse> {
 public:
  Inverse(Stream s, bool tri, bool upper) : MatrixPrim(s), tri_(tri), upper_(upper) {}
  static constexpr const char* kName = "Inverse";
  auto fields() const { return std::tie(tri_, upper_); }
  std::pair<bool, bool> state() const { return {tri_, upper_}; }
  std::vector<array> jvp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&) override;
  std::vector<array> vjp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&, const std::vector<array>&) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override {
    return {inputs[0].shape()};
  }
  std::vector<Dtype> dtypes(const std::vector<array>& inputs) const { return {inputs[0].dtype()}; }

 private:
  bool tri_, upper_;
};

enum class Shaped { general, lower, upper };

/** X with A X = B for A (n, n), of which only a triangle counts unless general, and B (n, m). */
class LinearSolve final : public MatrixPrim<LinearSolve> {
 public:
  LinearSolve(Stream s, Shaped shaped) : MatrixPrim(s), shaped_(shaped) {}
  static constexpr const char* kName = "LinearSolve";
  auto fields() const { return std::tie(shaped_); }
  Shaped shaped() const { return shaped_; }
  std::vector<array> jvp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&) override;
  std::vector<array> vjp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&, const std::vector<array>&) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override {
    return {inputs[1].shape()};
  }
  std::vector<Dtype> dtypes(const std::vector<array>& inputs) const { return {inputs[0].dtype()}; }

 private:
  Shaped shaped_;
};

/** The determinant. Its derivative is the matrix of cofactors, also where A is singular. */
class Determinant final : public MatrixPrim<Determinant> {
 public:
  using MatrixPrim::MatrixPrim;
  static constexpr const char* kName = "Determinant";
  std::tuple<> fields() const { return {}; }
  std::vector<array> jvp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&) override;
  std::vector<array> vjp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&, const std::vector<array>&) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override {
    return {with_matrix(inputs[0].shape(), {})};
  }
  std::vector<Dtype> dtypes(const std::vector<array>& inputs) const { return {inputs[0].dtype()}; }
};

/**
 * The derivative of the determinant by each element: det(A) A^-T, which has a value for singular A
 * too. Its own derivatives need a regular A.
 */
class Cofactors final : public MatrixPrim<Cofactors> {
 public:
  using MatrixPrim::MatrixPrim;
  static constexpr const char* kName = "Cofactors";
  std::tuple<> fields() const { return {}; }
  std::vector<array> jvp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&) override;
  std::vector<array> vjp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&, const std::vector<array>&) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override {
    return {inputs[0].shape()};
  }
  std::vector<Dtype> dtypes(const std::vector<array>& inputs) const { return {inputs[0].dtype()}; }
};

/** det / |det| (0 for singular A) and log |det|. */
class LogDeterminant final : public MatrixPrim<LogDeterminant> {
 public:
  using MatrixPrim::MatrixPrim;
  static constexpr const char* kName = "LogDeterminant";
  std::tuple<> fields() const { return {}; }
  std::vector<array> jvp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&) override;
  std::vector<array> vjp(const std::vector<array>&, const std::vector<array>&,
                         const std::vector<int>&, const std::vector<array>&) override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override {
    Shape batch = with_matrix(inputs[0].shape(), {});
    return {batch, batch};
  }
  std::vector<Dtype> dtypes(const std::vector<array>& inputs) const {
    return {inputs[0].dtype(), real_dtype(inputs[0].dtype())};
  }
};

}  // namespace mlx::core
