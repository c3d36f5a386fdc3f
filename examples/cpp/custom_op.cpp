// examples/cpp/custom_op.cpp: an operation of one's own, y = a x + b elementwise, with its kernel,
// its derivatives and its batching rule. Built against the installed package; prints what it
// checks.
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "mlx/mlx.h"

namespace mx = mlx::core;

class Axpb : public mx::UnaryPrimitive {
 public:
  Axpb(mx::Stream stream, float a, float b) : mx::UnaryPrimitive(stream), a_(a), b_(b) {}

  const char* name() const override { return "Axpb"; }

  void eval_cpu(const std::vector<mx::array>& inputs, mx::array& out) override {
    const mx::array& x = inputs[0];
    out.set_data(mx::allocator::malloc(out.nbytes()));
    const float* in = x.data<float>();
    float* result = out.data<float>();
    for (size_t i = 0; i < out.size(); ++i) result[i] = a_ * in[i] + b_;
  }
  void eval_gpu(const std::vector<mx::array>& inputs, mx::array& out) override {
    eval_cpu(inputs, out);
  }

  std::vector<mx::array> jvp(const std::vector<mx::array>&, const std::vector<mx::array>& tangents,
                             const std::vector<int>&) override {
    return {mx::multiply(tangents[0], mx::array(a_))};
  }
  std::vector<mx::array> vjp(const std::vector<mx::array>&,
                             const std::vector<mx::array>& cotangents, const std::vector<int>&,
                             const std::vector<mx::array>&) override {
    return {mx::multiply(cotangents[0], mx::array(a_))};
  }
  std::pair<std::vector<mx::array>, std::vector<int>> vmap(const std::vector<mx::array>& inputs,
                                                           const std::vector<int>& axes) override;
  bool is_equivalent(const mx::Primitive& other) const override {
    auto* o = dynamic_cast<const Axpb*>(&other);
    return o && o->a_ == a_ && o->b_ == b_;
  }
  std::vector<mx::Shape> output_shapes(const std::vector<mx::array>& inputs) override {
    return {inputs[0].shape()};
  }

 private:
  float a_, b_;
};

mx::array axpb(const mx::array& x, float a, float b, mx::StreamOrDevice s = {}) {
  // The kernel walks memory in row-major order, so it asks for that.
  mx::array in = mx::contiguous(mx::astype(x, mx::float32, s), false, s);
  mx::Shape shape = in.shape();
  return mx::array(shape, mx::float32, std::make_shared<Axpb>(mx::to_stream(s), a, b), {in});
}

std::pair<std::vector<mx::array>, std::vector<int>> Axpb::vmap(const std::vector<mx::array>& inputs,
                                                               const std::vector<int>& axes) {
  // Elementwise: a batch is one bigger array.
  return {{axpb(inputs[0], a_, b_, stream())}, axes};
}

void check(bool ok, const char* what) {
  std::printf("%-8s %s\n", ok ? "ok" : "WRONG", what);
  if (!ok) std::exit(1);
}

int main() {
  mx::array x({1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f}, {2, 3});
  auto f = [](const mx::array& v) { return axpb(v, 2.0f, 1.0f); };

  check(
      mx::array_equal(f(x), mx::array({3.0f, 5.0f, 7.0f, 9.0f, 11.0f, 13.0f}, {2, 3})).item<bool>(),
      "value");
  check(mx::array_equal(f(mx::transpose(x)), mx::transpose(f(x))).item<bool>(),
        "value of a transposed view");

  auto loss = [&](const mx::array& v) { return mx::sum(mx::square(f(v))); };
  mx::array gradient = mx::grad(loss)(x);
  check(mx::allclose(gradient, 4.0f * f(x)).item<bool>(), "vjp: d sum(y^2)/dx = 2 a y");

  auto [y, dy] = mx::jvp(std::function<mx::array(const mx::array&)>(f), x, mx::ones_like(x));
  check(mx::allclose(dy, mx::full({2, 3}, 2.0f)).item<bool>(), "jvp");

  auto batched = mx::vmap(std::function<mx::array(const mx::array&)>(f), 1, 1);
  check(mx::array_equal(batched(x), f(x)).item<bool>(), "vmap");
  return 0;
}
