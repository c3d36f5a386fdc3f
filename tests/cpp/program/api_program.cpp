// A program written for MLX's C++ API, from the list of its declarations: arrays of every dtype,
// shapes, indexing, reductions, linear algebra, Fourier transforms, random numbers, layers,
// quantisation. Prints how much it checked; exits with 1 if something was wrong.
#include <cmath>
#include <complex>
#include <vector>

#include "check.h"

using mx::array;

static void construction() {
  for (mx::Dtype t :
       {mx::bool_, mx::uint8, mx::uint16, mx::uint32, mx::uint64, mx::int8, mx::int16, mx::int32,
        mx::int64, mx::float16, mx::bfloat16, mx::float32, mx::float64, mx::complex64}) {
    array a = mx::ones({2, 3}, t);
    check(a.dtype() == t && a.itemsize() == t.size() && a.nbytes() == 6 * t.size(),
          "dtype of ones");
    check(mx::sum(mx::astype(a, mx::float32)).item<float>() == 6.0f, "ones are one");
    check(mx::zeros_like(a).dtype() == t, "zeros_like");
    check(mx::issubdtype(t, mx::generic) && mx::promote_types(t, t) == t, "subtypes");
  }
  array scalar(3.5f);
  check(scalar.ndim() == 0 && scalar.item<float>() == 3.5f, "a scalar");
  check(array(7).dtype() == mx::int32 && array(true).dtype() == mx::bool_, "dtypes of literals");
  check(array(std::complex<float>(1, 2)).item<mx::complex64_t>() == mx::complex64_t(1, 2),
        "complex");
  array a({1, 2, 3, 4, 5, 6}, {2, 3});
  check(a.shape() == mx::Shape{2, 3} && a.strides() == mx::Strides{3, 1}, "a list with a shape");
  check(a.shape(-1) == 3 && a.strides(0) == 3 && a.size() == 6, "one axis");
  std::vector<double> values{0.5, 1.5, 2.5};
  same(array(values.begin(), {3}, mx::float32), array({0.5f, 1.5f, 2.5f}), "from iterators");
  same(array({1, 0, 2}, mx::float32), array({1.0f, 0.0f, 2.0f}), "a list with a dtype");

  auto* memory = new float[4]{1, 2, 3, 4};
  bool freed = false;
  {
    array view(memory, {4}, mx::float32, [&](void* p) {
      delete[] static_cast<float*>(p);
      freed = true;
    });
    check(mx::sum(view).item<float>() == 10.0f, "somebody else's memory");
  }
  check(freed, "the deleter ran");
  array raw(mx::allocator::malloc(3 * sizeof(int)), {3}, mx::int32);
  for (int i = 0; i < 3; ++i) raw.data<int>()[i] = i;
  same(raw, mx::arange(3), "memory of the allocator");
  float total = 0;
  for (auto row : mx::reshape(mx::arange(6), {2, 3})) total += mx::sum(row).item<int>();
  check(total == 15, "iteration over rows");

  same(mx::full({2}, 4), array({4, 4}), "full");
  same(mx::arange(1.0, 2.0, 0.25), array({1.0f, 1.25f, 1.5f, 1.75f}), "arange");
  close(mx::linspace(0, 1, 5), array({0.0f, 0.25f, 0.5f, 0.75f, 1.0f}), "linspace");
  same(mx::eye(2), mx::identity(2), "eye");
  same(mx::tri(2, 3, 0, mx::int32), array({1, 0, 0, 1, 1, 0}, {2, 3}), "tri");
  same(mx::triu(mx::ones({2, 2}), 1), array({0.0f, 1.0f, 0.0f, 0.0f}, {2, 2}), "triu");
  check(mx::iinfo(mx::int8).max == 127 && mx::finfo(mx::float16).max == 65504.0, "limits");
}

static void arithmetic() {
  array a({1.0f, 2.0f, 3.0f}), b({4.0f, 5.0f, 6.0f});
  same(a + b * 2.0f - 1.0f, array({8.0f, 11.0f, 14.0f}), "operators");
  same(1.0f / a, mx::reciprocal(a), "a number divided");
  same(-a, mx::negative(a), "minus");
  same(a < 2.0f, array({true, false, false}), "comparison");
  same(mx::logical_and(a > 1.0f, b != 6.0f), array({false, true, false}), "logic");
  same(mx::divmod(array({7, -7}), array({3, 3}))[1], array({1, 2}), "divmod");
  same(array({7, 8}) % 4, array({3, 0}), "remainder");
  same(mx::left_shift(array({1, 2}), array({3, 3})), array({8, 16}), "shift");
  same(array({6, 5}) & array({3, 3}), array({2, 1}), "bits");
  close(mx::exp(mx::log(a)), a, "exp of log");
  close(mx::sqrt(mx::square(a)), mx::abs(-a), "square root");
  close(mx::square(mx::sin(a)) + mx::square(mx::cos(a)), mx::ones({3}), "sine and cosine");
  close(mx::sigmoid(a), 1.0f / (1.0f + mx::exp(-a)), "sigmoid");
  close(mx::erf(array(0.5f)), array(0.5204999f), "erf");
  same(mx::where(a > 1.5f, a, mx::zeros({1})), array({0.0f, 2.0f, 3.0f}), "where");
  same(mx::clip(a, array(1.5f), array(2.5f)), array({1.5f, 2.0f, 2.5f}), "clip");
  same(mx::maximum(a, array(2.0f)), array({2.0f, 2.0f, 3.0f}), "maximum");
  same(mx::round(array({1.25f, 2.75f}), 1), array({1.2f, 2.8f}), "round");
  same(mx::isnan(array({0.0f, NAN})), array({false, true}), "isnan");
  same(mx::nan_to_num(array({NAN, 1.0f}), 5.0f), array({5.0f, 1.0f}), "nan_to_num");
  check(mx::result_type(array(1), a) == mx::float32, "result_type");
  throws([&] { mx::eval(a + mx::ones({2})); }, "shapes that do not fit");
  throws([&] { mx::bitwise_and(a, b); }, "bits of floats");
}

static void shapes() {
  array a = mx::reshape(mx::arange(24), {2, 3, 4});
  check(mx::transpose(a).shape() == mx::Shape{4, 3, 2}, "transpose");
  array t = mx::transpose(a, {1, 0, 2});
  t.eval();
  check(t.strides() == mx::Strides{4, 12, 1} && !t.flags().row_contiguous, "a view");
  check(mx::moveaxis(a, 0, 2).shape() == mx::Shape{3, 4, 2}, "moveaxis");
  check(mx::expand_dims(a, {0, 2}).shape() == mx::Shape{1, 2, 1, 3, 4}, "expand_dims");
  check(mx::squeeze(mx::ones({1, 2, 1})).shape() == mx::Shape{2}, "squeeze");
  check(mx::flatten(a, 1, 2).shape() == mx::Shape{2, 12}, "flatten");
  check(mx::unflatten(a, 2, {2, -1}).shape() == mx::Shape{2, 3, 2, 2}, "unflatten");
  check(mx::broadcast_to(array({1, 2}), {3, 2}).shape() == mx::Shape{3, 2}, "broadcast_to");
  check(mx::broadcast_shapes({2, 1}, {3}) == mx::Shape{2, 3}, "broadcast_shapes");
  same(mx::slice(a, {1, 0, 1}, {2, 3, 4}, {1, 2, 2}), array({13, 15, 21, 23}, {1, 2, 2}), "slice");
  same(mx::slice(mx::arange(5), {4}, {-6}, {-2}), array({4, 2, 0}), "backwards");
  same(mx::slice_update(mx::zeros({4}), array({1.0f, 2.0f}), mx::Shape{1}, mx::Shape{3}),
       array({0.0f, 1.0f, 2.0f, 0.0f}), "slice_update");
  same(mx::slice(mx::arange(6), array({2}), {0}, {3}), array({2, 3, 4}), "slice at a place");
  same(mx::concatenate({array({1, 2}), array({3})}), array({1, 2, 3}), "concatenate");
  same(mx::stack({array({1, 2}), array({3, 4})}, 1), array({1, 3, 2, 4}, {2, 2}), "stack");
  auto parts = mx::split(mx::arange(6), mx::Shape{1, 4});
  check(parts.size() == 3 && parts[1].size() == 3, "split");
  same(mx::pad(array({1, 2}), 1), array({0, 1, 2, 0}), "pad");
  same(mx::tile(array({1, 2}), {2}), array({1, 2, 1, 2}), "tile");
  same(mx::repeat(array({1, 2}), 2), array({1, 1, 2, 2}), "repeat");
  same(mx::roll(mx::arange(4), 1), array({3, 0, 1, 2}), "roll");
  same(mx::flip(mx::arange(3), 0), array({2, 1, 0}), "flip");
  same(mx::diagonal(mx::eye(3)), mx::ones({3}), "diagonal");
  same(mx::take(a, array({1, 0}), 0), mx::flip(a, 0), "take");
  same(mx::take_along_axis(array({3, 1, 2}), mx::argsort(array({3, 1, 2})), 0), array({1, 2, 3}),
       "take_along_axis");
  same(mx::gather(a, array({1}), 0, {1, 3, 4}), mx::reshape(mx::arange(12, 24), {1, 1, 3, 4}),
       "gather");
  same(mx::scatter_add(mx::zeros({3}, mx::int32), array({1, 1}), array({5, 6}, {2, 1}), 0),
       array({0, 11, 0}), "scatter_add");
  same(mx::view(array(1.0f), mx::uint32), array(0x3f800000u), "view");
  auto grid = mx::meshgrid({array({1, 2}), array({3})});
  check(grid.size() == 2 && grid[0].shape() == mx::Shape{1, 2}, "meshgrid");
}

static void reductions() {
  array a({3.0f, 1.0f, 2.0f, 6.0f, 5.0f, 4.0f}, {2, 3});
  same(mx::sum(a, 0), array({9.0f, 6.0f, 6.0f}), "sum");
  same(mx::max(a, std::vector<int>{0, 1}, true), array({6.0f}, {1, 1}), "max");
  same(mx::argmax(a, 1), array({0u, 0u}), "argmax");
  close(mx::var(a, 1), array({2.0f / 3, 2.0f / 3}), "var");
  close(mx::std(a), mx::sqrt(mx::var(a)), "std");
  close(mx::logsumexp(a, 1), mx::log(mx::sum(mx::exp(a), 1)), "logsumexp");
  same(mx::median(a), array(3.5f), "median");
  auto [least, most] = mx::minmax(a);
  check(least.item<float>() == 1.0f && most.item<float>() == 6.0f, "minmax");
  same(mx::all(a > 0.0f), array(true), "all");
  same(mx::sort(a, 1), array({1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f}, {2, 3}), "sort");
  same(mx::topk(array({5, 1, 4, 2}), 2), array({4, 5}), "topk");
  same(mx::cumsum(mx::arange(4), 0), array({0, 1, 3, 6}), "cumsum");
  same(mx::searchsorted(array({1, 3, 5}), array({3, 4})), array({1u, 2u}), "searchsorted");
  close(mx::softmax(a, 1), mx::exp(a - mx::logsumexp(a, 1, true)), "softmax");
  same(mx::unique(array({3, 1, 3}), 2)[0], array({1, 3}), "unique");
  check(mx::count_nonzero(array({0, 2, 3})).item<int>() == 2, "count_nonzero");
}

static void linear_algebra() {
  namespace la = mx::linalg;
  array a({4.0f, 1.0f, 1.0f, 3.0f}, {2, 2}), b({1.0f, 2.0f}, {2, 1});
  mx::Device cpu(mx::Device::cpu);
  try {
    mx::eval(la::svd(a, true, cpu));
  } catch (const std::runtime_error& e) {
    check(std::string(e.what()).find("No LAPACK library was found") != std::string::npos, e.what());
    std::printf("%s\n", e.what());
    return;
  }
  close(mx::matmul(a, la::inv(a, cpu)), mx::eye(2), "inv");
  close(mx::matmul(a, la::solve(a, b, cpu)), b, "solve");
  array l = la::cholesky(a, false, cpu);
  close(mx::matmul(l, mx::transpose(l)), a, "cholesky");
  auto [q, r] = la::qr(a, cpu);
  close(mx::matmul(q, r), a, "qr");
  auto svd = la::svd(a, true, cpu);
  close(mx::matmul(svd[0] * svd[1], svd[2]), a, "svd");
  auto [values, vectors] = la::eigh(a, "L", cpu);
  close(mx::matmul(a, vectors), vectors * values, "eigh");
  close(la::det(a), array(11.0f), "det");
  close(la::norm(b), mx::sqrt(array(5.0f)), "norm");
  close(la::norm(a, "fro"), mx::sqrt(mx::sum(mx::square(a))), "Frobenius norm");
  close(la::pinv(mx::expand_dims(array({3.0f, 4.0f}), 0)), array({0.12f, 0.16f}, {2, 1}), "pinv");
  close(la::cross(array({1.0f, 0.0f, 0.0f}), array({0.0f, 1.0f, 0.0f})), array({0.0f, 0.0f, 1.0f}),
        "cross");
  close(mx::einsum("ij,jk->ik", {a, a}), mx::matmul(a, a), "einsum");
  close(mx::addmm(b, a, b, 2.0f, 0.5f), 2.0f * mx::matmul(a, b) + 0.5f * b, "addmm");
  close(mx::tensordot(a, a, 2), mx::sum(a * a), "tensordot");
  close(mx::outer(array({1.0f, 2.0f}), array({3.0f})), array({3.0f, 6.0f}, {2, 1}), "outer");
  close(mx::inner(array({1.0f, 2.0f}), array({3.0f, 4.0f})), array(11.0f), "inner");
  close(mx::kron(mx::eye(2), b), array({1.0f, 0.0f, 2.0f, 0.0f, 0.0f, 1.0f, 0.0f, 2.0f}, {4, 2}),
        "kron");
}

static void signals() {
  array x = mx::random::normal({16}, mx::random::key(0));
  close(mx::real(mx::fft::ifft(mx::fft::fft(x))), x, "fft and back");
  close(mx::fft::irfft(mx::fft::rfft(x)), x, "rfft and back");
  close(mx::fft::rfft(x, 8, 0), mx::fft::rfft(mx::slice(x, {0}, {8})), "fft of a length");
  check(mx::fft::fft2(mx::reshape(x, {4, 4})).dtype() == mx::complex64, "fft2");
  close(mx::fft::fftshift(mx::arange(4)), array({2, 3, 0, 1}), "fftshift");
  array image = mx::ones({1, 4, 4, 2}), kernel = mx::ones({3, 3, 3, 2});
  array y = mx::conv2d(image, kernel, {1, 1}, {1, 1});
  check(y.shape() == mx::Shape{1, 4, 4, 3} && mx::max(y).item<float>() == 18.0f, "conv2d");
  close(mx::conv1d(mx::reshape(x, {1, 16, 1}), mx::ones({1, 1, 1})), mx::reshape(x, {1, 16, 1}),
        "conv1d");
  close(mx::hanning(4), array({0.0f, 0.75f, 0.75f, 0.0f}), "hanning");
}

static void random_numbers() {
  namespace rnd = mx::random;
  rnd::seed(3);
  array a = rnd::uniform({1000});
  rnd::seed(3);
  same(rnd::uniform({1000}), a, "the same seed, the same numbers");
  check(mx::min(a).item<float>() >= 0 && mx::max(a).item<float>() < 1, "uniform");
  auto [k1, k2] = rnd::split(rnd::key(1));
  check(!mx::array_equal(rnd::bits({4}, k1), rnd::bits({4}, k2)).item<bool>(), "keys");
  check(std::abs(mx::mean(rnd::normal({4000}, mx::float32, 2.0f, 0.5f)).item<float>() - 2) < 0.1,
        "normal");
  array dice = rnd::randint(1, 7, {100});
  check(mx::all(dice >= 1 && dice <= 6).item<bool>(), "randint");
  same(mx::sort(rnd::permutation(5)), mx::arange(5), "permutation");
  check(rnd::categorical(mx::zeros({3, 5})).shape() == mx::Shape{3}, "categorical");
  check(rnd::bernoulli(0.5f, {7}).dtype() == mx::bool_, "bernoulli");
  array cut = rnd::truncated_normal(array(-1.0f), array(1.0f), {50});
  check(mx::max(mx::abs(cut)).item<float>() <= 1, "truncated_normal");
}

static void layers() {
  array x = mx::random::normal({2, 8, 64}, mx::random::key(5));
  array rms = x * mx::rsqrt(mx::mean(x * x, -1, true) + 1e-5f);
  close(mx::fast::rms_norm(x, std::nullopt, 1e-5f), rms, "rms_norm");
  array centred = x - mx::mean(x, -1, true);
  close(mx::fast::layer_norm(x, std::nullopt, std::nullopt, 1e-5f),
        centred * mx::rsqrt(mx::var(x, -1, true) + 1e-5f), "layer_norm", 1e-4);
  array q = mx::reshape(x, {1, 2, 8, 64});
  array scores = mx::softmax(mx::matmul(q, mx::swapaxes(q, -1, -2)) * 0.125f, -1);
  close(mx::fast::scaled_dot_product_attention(q, q, q, 0.125f), mx::matmul(scores, q), "attention",
        1e-4);
  check(mx::fast::rope(q, 64, false, 10000.0f, 1.0f, 0).shape() == q.shape(), "rope");
  array w = mx::random::normal({32, 64}, mx::random::key(6));
  auto packed = mx::quantize(w, 32, 4);
  array back = mx::dequantize(packed[0], packed[1], packed[2], 32, 4);
  check(mx::mean(mx::abs(back - w)).item<float>() < 0.1f, "quantize and back");
  close(mx::quantized_matmul(x, packed[0], packed[1], packed[2], true, 32, 4),
        mx::matmul(x, mx::transpose(back)), "quantized_matmul", 1e-3);
}

int main() {
  construction();
  arithmetic();
  shapes();
  reductions();
  linear_algebra();
  signals();
  random_numbers();
  layers();
  graphs();
  services();
  std::printf("%d checks, %d wrong\n", checks, failures);
  return failures ? 1 : 0;
}
