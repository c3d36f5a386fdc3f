// examples/extension/axpby.cpp: a x + b y as an operation with a kernel of its own, for Python.
#include <nanobind/nanobind.h>

#include "mlx/mlx.h"

namespace mx = mlx::core;
namespace nb = nanobind;
using namespace nb::literals;

class Axpby : public mx::UnaryPrimitive {
 public:
  Axpby(mx::Stream stream, float a, float b) : UnaryPrimitive(stream), a_(a), b_(b) {}
  const char* name() const override { return "Axpby"; }

  void eval_cpu(const std::vector<mx::array>& inputs, mx::array& out) override {
    out.set_data(mx::allocator::malloc(out.nbytes()));
    const float *x = inputs[0].data<float>(), *y = inputs[1].data<float>();
    float* result = out.data<float>();
    for (size_t i = 0; i < out.size(); ++i) result[i] = a_ * x[i] + b_ * y[i];
  }
  void eval_gpu(const std::vector<mx::array>& inputs, mx::array& out) override {
    eval_cpu(inputs, out);
  }

  std::vector<mx::array> jvp(const std::vector<mx::array>&, const std::vector<mx::array>& tangents,
                             const std::vector<int>& argnums) override {
    mx::array sum = tangents[0] * factor(argnums[0]);
    if (argnums.size() > 1) sum = sum + tangents[1] * factor(argnums[1]);
    return {sum};
  }
  std::vector<mx::array> vjp(const std::vector<mx::array>&,
                             const std::vector<mx::array>& cotangents,
                             const std::vector<int>& argnums,
                             const std::vector<mx::array>&) override {
    std::vector<mx::array> result;
    for (int k : argnums) result.push_back(cotangents[0] * factor(k));
    return result;
  }
  bool is_equivalent(const mx::Primitive& other) const override {
    auto* o = dynamic_cast<const Axpby*>(&other);
    return o && o->a_ == a_ && o->b_ == b_;
  }
  std::vector<mx::Shape> output_shapes(const std::vector<mx::array>& inputs) override {
    return {inputs[0].shape()};
  }

 private:
  float factor(int k) const { return k == 0 ? a_ : b_; }
  float a_, b_;
};

mx::array axpby(const mx::array& x, const mx::array& y, float a, float b) {
  auto both = mx::broadcast_arrays({mx::astype(x, mx::float32), mx::astype(y, mx::float32)});
  // The kernel walks memory in row-major order, so it asks for that.
  for (auto& in : both) in = mx::contiguous(in);
  auto stream = mx::default_stream(mx::default_device());
  return mx::array(both[0].shape(), mx::float32, std::make_shared<Axpby>(stream, a, b), both);
}

NB_MODULE(_ext, m) {
  m.def("axpby", &axpby, "x"_a, "y"_a, "a"_a = 1.0f, "b"_a = 1.0f,
        "a x + b y as float32; x and y are broadcast.");
}
