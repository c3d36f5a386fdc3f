// Derivatives, batching, compiled and exported functions, operations of one's own.
#include <filesystem>
#include <sstream>
#include <typeinfo>

#include "check.h"
#include "mlx/backend/common/utils.h"
#include "mlx/backend/cpu/encoder.h"
#include "mlx/fast_primitives.h"
#include "mlx/primitives.h"

using mx::array;
using Arrays = std::vector<array>;
using One = std::function<array(const array&)>;
using Many = std::function<Arrays(const Arrays&)>;

static void derivatives() {
  array x({1.0f, 2.0f, 3.0f});
  One cube_sum = [](const array& v) { return mx::sum(v * v * v); };
  same(mx::grad(cube_sum)(x), 3.0f * x * x, "grad");
  auto [value, gradient] = mx::value_and_grad(cube_sum)(x);
  check(value.item<float>() == 36.0f, "value_and_grad");
  One second = [&](const array& v) { return mx::sum(mx::grad(cube_sum)(v)); };
  same(mx::grad(second)(x), 6.0f * x, "second derivative");
  One square = [](const array& v) { return mx::square(v); };
  same(mx::jvp(square, x, mx::ones({3})).second, 2.0f * x, "jvp");
  same(mx::vjp(square, x, mx::ones({3})).second, 2.0f * x, "vjp");

  std::function<array(const Arrays&)> product = [](const Arrays& in) {
    return mx::sum(in[0] * in[1]);
  };
  auto both = mx::grad(product, std::vector<int>{0, 1})({x, x + 1.0f});
  same(both[0], x + 1.0f, "grad of two arguments");
  same(both[1], x, "the second");
  same(mx::value_and_grad(product, 1)({x, x}).second[0], x, "grad of the second argument");
  One stopped = [](const array& v) { return mx::sum(v * mx::stop_gradient(v)); };
  same(mx::grad(stopped)(x), x, "stop_gradient");

  One dot = [](const array& v) { return mx::sum(v * v); };
  array rows = mx::reshape(mx::arange(6, mx::float32), {2, 3});
  same(mx::vmap(dot)(rows), array({5.0f, 50.0f}), "vmap");
  same(mx::vmap(dot, 1)(rows), mx::sum(rows * rows, 0), "vmap over the other axis");
  std::function<array(const array&, const array&)> add_rows = [](const array& a, const array& b) {
    return a + b;
  };
  same(mx::vmap(add_rows, 0, -1)(rows, x), rows + x, "vmap over one of two");
  Many several = [](const Arrays& in) { return Arrays{in[0] * 2.0f, mx::sum(in[0])}; };
  same(mx::vmap(several, {0}, {0, 0})({rows})[1], mx::sum(rows, 1), "vmap of several outputs");
  same(mx::grad(One([&](const array& v) { return mx::sum(mx::vmap(dot)(v)); }))(rows), 2.0f * rows,
       "grad of vmap");

  Many own = mx::custom_vjp([](const Arrays& in) { return Arrays{mx::exp(in[0])}; },
                            [](const Arrays&, const Arrays& cotangents, const Arrays&) {
                              return Arrays{cotangents[0] * 7.0f};
                            });
  One through = [&](const array& v) { return mx::sum(own({v})[0]); };
  same(mx::grad(through)(x), mx::full({3}, 7.0f), "custom_vjp");
  Many kept = mx::checkpoint([](const Arrays& in) { return Arrays{mx::sin(in[0])}; });
  close(mx::grad(One([&](const array& v) { return mx::sum(kept({v})[0]); }))(x), mx::cos(x),
        "checkpoint");
  Many ruled =
      mx::custom_function([](const Arrays& in) { return Arrays{in[0] * in[0]}; }, std::nullopt,
                          [](const Arrays& in, const Arrays& tangents, const std::vector<int>&) {
                            return Arrays{tangents[0] * in[0] * 10.0f};
                          });
  same(mx::jvp(ruled, {x}, {mx::ones({3})}).second[0], x * 10.0f, "custom_function");
}

static Arrays polynomial(const Arrays& in) { return {in[0] * in[0] + 2.0f * in[0] + 1.0f}; }

static void compiled() {
  array x({1.0f, 2.0f});
  auto fast = mx::compile(polynomial);
  same(fast({x})[0], array({4.0f, 9.0f}), "compile");
  same(fast({mx::ones({2, 2})})[0], mx::full({2, 2}, 4.0f), "another shape");
  int traced = 0;
  auto any = mx::compile(
      [&](const Arrays& in) {
        ++traced;
        return Arrays{mx::exp(in[0]) - 1.0f};
      },
      true);
  any({x}), any({mx::ones({7})});
  check(traced == 1, "shapeless: traced once");
  close(mx::grad(One([&](const array& v) { return mx::sum(fast({v})[0]); }))(x), 2.0f * x + 2.0f,
        "grad of compiled");
  mx::disable_compile();
  same(mx::compile(polynomial)({x})[0], array({4.0f, 9.0f}), "disable_compile");
  mx::enable_compile();
  mx::set_compile_mode(mx::CompileMode::enabled);

  std::ostringstream text, dot;
  array y = mx::exp(x) + 1.0f;
  mx::print_graph(text, y);
  mx::export_to_dot(dot, y);
  check(text.str().find("Exp") != std::string::npos, "print_graph");
  check(dot.str().find("digraph") != std::string::npos, "export_to_dot");
}

static void exported(const std::string& folder) {
  std::string file = folder + "/f.mlxfn";
  std::function<Arrays(const mx::Args&)> f = [](const mx::Args& in) {
    return Arrays{mx::matmul(in[0], in[1]), mx::sum(in[0])};
  };
  array a = mx::ones({2, 3}), b = mx::ones({3, 4});
  mx::export_function(file, f, {a, b}, false, "note");
  auto read = mx::import_function(file);
  check(read.metadata() == "note", "metadata");
  same(read({a, b})[0], mx::full({2, 4}, 3.0f), "export and import");
  throws([&] { read({a}); }, "another number of arguments");
  {
    auto writer = mx::exporter(file, f, true);
    writer({a, b});
    writer.close();
  }
  same(mx::import_function(file)({mx::ones({5, 6}), mx::ones({6, 1})})[0], mx::full({5, 1}, 6.0f),
       "shapeless");
  std::function<Arrays(const mx::Kwargs&)> g = [](const mx::Kwargs& in) {
    return Arrays{in.at("x") - in.at("y")};
  };
  mx::export_function(file, g, mx::Kwargs{{"x", a}, {"y", a}});
  same(mx::import_function(file)(mx::Kwargs{{"x", a}, {"y", a}})[0], mx::zeros({2, 3}), "by name");
  int parts = 0;
  mx::export_function([&](const mx::ExportCallbackInput&) { ++parts; }, f, {a, b});
  check(parts > 2, "a callback");
}

// An operation of one's own: x * s, with its kernel and rules.
class Scaled : public mx::UnaryPrimitive {
 public:
  Scaled(mx::Stream stream, float s) : UnaryPrimitive(stream), s_(s) {}
  void eval_cpu(const Arrays& inputs, array& out) override {
    array in = inputs[0];
    out.set_data(mx::allocator::malloc(out.nbytes()));
    for (size_t i = 0; i < in.size(); ++i) out.data<float>()[i] = s_ * in.data<float>()[i];
  }
  void eval_gpu(const Arrays& inputs, array& out) override { eval_cpu(inputs, out); }
  const char* name() const override { return "Scaled"; }
  bool is_equivalent(const mx::Primitive& other) const override {
    return static_cast<const Scaled&>(other).s_ == s_;
  }
  Arrays vjp(const Arrays&, const Arrays& cotangents, const std::vector<int>&,
             const Arrays&) override {
    return {cotangents[0] * s_};
  }

 private:
  float s_;
};

class Halves : public mx::fast::Custom {
 public:
  explicit Halves(mx::Stream s)
      : Custom(s, [](Arrays in) {
          return Arrays{in[0] * 0.5f, in[0] * 0.25f};
        }) {}
  void eval_cpu(const Arrays& inputs, Arrays& outputs) override {
    array in = inputs[0];
    for (int k = 0; k < 2; ++k) {
      outputs[k].set_data(mx::allocator::malloc(outputs[k].nbytes()));
      for (size_t i = 0; i < in.size(); ++i)
        outputs[k].data<float>()[i] = in.data<float>()[i] * (k ? 0.25f : 0.5f);
    }
  }
  void eval_gpu(const Arrays& inputs, Arrays& outputs) override { eval_cpu(inputs, outputs); }
  const char* name() const override { return "Halves"; }
};

// With strides and an encoder, as MLX's guide for extensions does it.
class Strided : public mx::Primitive {
 public:
  explicit Strided(mx::Stream stream) : Primitive(stream) {}
  void eval_cpu(const Arrays& inputs, Arrays& outputs) override {
    const array& x = inputs[0];
    array& out = outputs[0];
    out.set_data(mx::allocator::malloc(out.nbytes()));
    auto& encoder = mx::cpu::get_command_encoder(stream());
    encoder.set_input_array(x);
    encoder.set_output_array(out);
    encoder.dispatch([from = x.data<float>(), to = out.data<float>(), size = out.size(),
                      shape = x.shape(), strides = x.strides()] {
      for (size_t i = 0; i < size; ++i) to[i] = 2.0f * from[mx::elem_to_loc(i, shape, strides)];
    });
  }
  void eval_gpu(const Arrays& inputs, Arrays& outputs) override { eval_cpu(inputs, outputs); }
  const char* name() const override { return "Strided"; }
};

static void primitives() {
  mx::Stream s = mx::default_stream(mx::Device::cpu);
  array x({1.0f, 4.0f, 9.0f});
  One scaled = [&](const array& v) {
    return array(v.shape(), v.dtype(), std::make_shared<Scaled>(s, 3.0f), {v});
  };
  same(scaled(x), 3.0f * x, "a primitive of one's own");
  same(mx::grad(One([&](const array& v) { return mx::sum(scaled(v)); }))(x), mx::full({3}, 3.0f),
       "its gradient");
  array turned = mx::transpose(mx::reshape(mx::arange(6, mx::float32), {2, 3}));
  same(array({3, 2}, mx::float32, std::make_shared<Strided>(s), {turned}), 2.0f * turned,
       "an encoder and strides");
  throws([&] { mx::vmap(scaled)(mx::ones({2, 3})); }, "it has no vmap");

  auto halves = [&](const array& v) {
    return array::make_arrays({v.shape(), v.shape()}, {v.dtype(), v.dtype()},
                              std::make_shared<Halves>(s), {v});
  };
  auto two = halves(x);
  check(two[1].sibling_position() == 1 && two[0].siblings().size() == 1, "siblings");
  same(two[0], x * 0.5f, "the first of two outputs");
  same(two[1], x * 0.25f, "the second");
  same(mx::grad(One([&](const array& v) { return mx::sum(halves(v)[1]); }))(x),
       mx::full({3}, 0.25f), "fast::Custom differentiates its fallback");

  auto root = std::make_shared<mx::Sqrt>(s);
  array y = array(x.shape(), x.dtype(), root, {x});
  same(y, array({1.0f, 2.0f, 3.0f}), "a primitive by name");
  array z = mx::exp(x) + x;
  check(typeid(z.primitive()) == typeid(mx::Add), "what a node is");
  check(typeid(z.inputs()[0].primitive()) == typeid(mx::Exp), "and its input");
  check(std::string(z.primitive().name()) == "Add", "its name");
  array t = mx::transpose(mx::ones({2, 3}), {1, 0});
  check(dynamic_cast<mx::Transpose&>(t.primitive()).state() == std::vector<int>{1, 0}, "its state");
  array red({1}, mx::float32, std::make_shared<mx::Reduce>(s, mx::Reduce::Sum, std::vector<int>{0}),
            {x});
  same(red, array({14.0f}), "Reduce");
  same(array({2}, mx::int32, std::make_shared<mx::ArgSort>(s, 0), {array({5, 3})}).dtype() ==
               mx::int32
           ? array(true)
           : array(false),
       array(true), "a node keeps the dtype it was given");
  auto log2 = mx::log2(x);
  check(dynamic_cast<mx::Log&>(log2.primitive()).state() == mx::Log::two, "log2 is a Log");
  z.eval();
  check(!z.has_primitive() || z.status() == array::available, "evaluated");
}

void graphs() {
  derivatives();
  compiled();
  auto folder = std::filesystem::temp_directory_path() / "mica_api_program_graph";
  std::filesystem::create_directories(folder);
  exported(folder.string());
  std::filesystem::remove_all(folder);
  primitives();
}
