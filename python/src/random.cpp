// python/src/random.cpp: mx.random, and the key it uses when none is given.
#include "bind.h"
#include "define.h"
#include "random_state.h"

#if __has_include("mlx/random.h")
#include <chrono>

#include "mlx/ops.h"
#include "mlx/random.h"

namespace {

/** `mx.random.state`: a container of one key, which compile and checkpoint can capture. */
struct RandomState {};

uint64_t seed_from_clock() {
  auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
}

// Each thread has a key, so that threads do not wait for each other or take each other's numbers.
mx::array& thread_key() {
  thread_local mx::array key = mx::random::key(seed_from_clock());
  return key;
}

mx::array key_or_next(nb::handle key) {
  if (key.is_none()) return next_random_key();
  if (mx::array* a = array_ptr(key)) return *a;
  throw_type_error("[random] key must be an array or None, not " + py_type_name(key) + ".");
}

}  // namespace

bool is_random_state(nb::handle h) {
  static PyObject* type = nb::type<RandomState>().ptr();
  return reinterpret_cast<PyObject*>(Py_TYPE(h.ptr())) == type;
}
nb::list random_state_list() {
  nb::list out;
  out.append(nb::steal(wrap_array(thread_key())));
  return out;
}
void set_random_key(const mx::array& key) { thread_key() = key; }
mx::array next_random_key() {
  auto [keep, use] = mx::random::split(thread_key());
  thread_key() = keep;
  return use;
}

#define KEY_ARGS "key"_a.none() = nb::none(), "stream"_a.none() = nb::none()
#define KEY_SIG "key: array | None = None, stream: StreamOrDevice = None) -> array"

void bind_random(nb::module_& parent) {
  nb::module_ m = parent.def_submodule(
      "random", "Random numbers, from keys: the same key gives the same numbers.");
  nb::class_<RandomState>(m, "_RandomState",
                          "The random key of this thread, as a container of one array.")
      .def("__len__", [](const RandomState&) { return 1; })
      .def(
          "__getitem__",
          [](const RandomState&, int i) { return nb::object(random_state_list()[i]); }, "index"_a,
          nb::sig("def __getitem__(self, index: int) -> array"))
      .def(
          "__setitem__",
          [](const RandomState&, int i, const mx::array& key) {
            if (i != 0 && i != -1) throw nb::index_error("[random.state] has one entry.");
            if (key.dtype() != mx::uint32 || key.shape() != mx::Shape{2}) {
              throw std::invalid_argument("[random.state] a key is (2,) of uint32, not " +
                                          mx::to_string(key.shape()) + " of " +
                                          mx::dtype_to_string(key.dtype()) + ".");
            }
            set_random_key(key);
          },
          "index"_a, "key"_a, nb::sig("def __setitem__(self, index: int, key: array) -> None"),
          "Goes on from a key that was saved, as a training that is resumed does.")
      .def(
          "__iter__", [](const RandomState&) { return nb::iter(random_state_list()); },
          nb::sig("def __iter__(self) -> typing.Iterator[array]"));
  m.attr("state") = nb::cast(RandomState{});

  m.def(
      "seed", [](uint64_t seed) { set_random_key(mx::random::key(seed)); }, "seed"_a,
      nb::sig("def seed(seed: int) -> None"), "Sets the key of this thread from a number.");
  m.def(
      "key", [](uint64_t seed) { return mx::random::key(seed); }, "seed"_a,
      nb::sig("def key(seed: int) -> array"), "A key from a number.");
  def_function(
      m, "split", "(key: array, num: int = 2, stream: StreamOrDevice = None) -> array",
      "``num`` keys from one, which should not be used any more.",
      [](const mx::array& key, int num, mx::StreamOrDevice s) {
        return mx::random::split(key, num, s);
      },
      "key"_a, "num"_a = 2, "stream"_a.none() = nb::none());
  def_function(
      m, "uniform",
      "(low: scalar | array = 0, high: scalar | array = 1, shape: Sequence[int] = [], dtype: Dtype "
      "| None = float32, " KEY_SIG,
      "Numbers spread evenly over ``[low, high)``, which broadcast to ``shape``.",
      [](nb::handle low, nb::handle high, nb::handle shape, std::optional<mx::Dtype> dtype,
         nb::handle key, mx::StreamOrDevice s) {
        mx::Dtype d = dtype.value_or(mx::float32);
        return mx::random::uniform(to_array(low, d), to_array(high, d), to_shape(shape, "uniform"),
                                   d, key_or_next(key), s);
      },
      "low"_a = 0, "high"_a = 1, "shape"_a = nb::tuple(), "dtype"_a.none() = mx::float32, KEY_ARGS);
  def_function(
      m, "normal",
      "(shape: Sequence[int] = [], dtype: Dtype | None = float32, loc: scalar | array | None = "
      "None, scale: scalar | array | None = None, " KEY_SIG,
      "Numbers of the normal distribution with mean ``loc`` (0) and deviation ``scale`` (1).",
      [](nb::handle shape, std::optional<mx::Dtype> dtype, nb::handle loc, nb::handle scale,
         nb::handle key, mx::StreamOrDevice s) {
        mx::Dtype d = dtype.value_or(mx::float32);
        return mx::random::normal(to_shape(shape, "normal"), d, to_optional_array(loc, d),
                                  to_optional_array(scale, d), key_or_next(key), s);
      },
      "shape"_a = nb::tuple(), "dtype"_a.none() = mx::float32, "loc"_a.none() = nb::none(),
      "scale"_a.none() = nb::none(), KEY_ARGS);
  def_function(
      m, "multivariate_normal",
      "(mean: array, cov: array, shape: Sequence[int] = [], dtype: Dtype | None = "
      "float32, " KEY_SIG,
      "Vectors of the normal distribution with these means and covariances.",
      [](const mx::array& mean, const mx::array& cov, nb::handle shape,
         std::optional<mx::Dtype> dtype, nb::handle key, mx::StreamOrDevice s) {
        return mx::random::multivariate_normal(mean, cov, to_shape(shape, "multivariate_normal"),
                                               dtype.value_or(mx::float32), key_or_next(key), s);
      },
      "mean"_a, "cov"_a, "shape"_a = nb::tuple(), "dtype"_a.none() = mx::float32, KEY_ARGS);
  def_function(
      m, "randint",
      "(low: scalar | array, high: scalar | array, shape: Sequence[int] = [], dtype: Dtype | None "
      "= int32, " KEY_SIG,
      "Integers in ``[low, high)``, which broadcast to ``shape``.",
      [](nb::handle low, nb::handle high, nb::handle shape, std::optional<mx::Dtype> dtype,
         nb::handle key, mx::StreamOrDevice s) {
        return mx::random::randint(to_array(low), to_array(high), to_shape(shape, "randint"),
                                   dtype.value_or(mx::int32), key_or_next(key), s);
      },
      "low"_a, "high"_a, "shape"_a = nb::tuple(), "dtype"_a.none() = mx::int32, KEY_ARGS);
  def_function(
      m, "bernoulli", "(p: scalar | array = 0.5, shape: Sequence[int] | None = None, " KEY_SIG,
      "True with probability ``p``; the shape is that of ``p`` unless given.",
      [](nb::handle p, nb::handle shape, nb::handle key, mx::StreamOrDevice s) {
        mx::array a = to_array(p, mx::float32);
        return mx::random::bernoulli(a, shape.is_none() ? a.shape() : to_shape(shape, "bernoulli"),
                                     key_or_next(key), s);
      },
      "p"_a = 0.5, "shape"_a.none() = nb::none(), KEY_ARGS);
  def_function(
      m, "truncated_normal",
      "(lower: scalar | array, upper: scalar | array, shape: Sequence[int] | None = None, dtype: "
      "Dtype | None = float32, " KEY_SIG,
      "Numbers of the standard normal distribution cut off outside of ``[lower, upper]``.",
      [](nb::handle lower, nb::handle upper, nb::handle shape, std::optional<mx::Dtype> dtype,
         nb::handle key, mx::StreamOrDevice s) {
        mx::Dtype d = dtype.value_or(mx::float32);
        mx::array lo = to_array(lower, d), hi = to_array(upper, d);
        mx::Shape sh = shape.is_none() ? mx::broadcast_shapes(lo.shape(), hi.shape())
                                       : to_shape(shape, "truncated_normal");
        return mx::random::truncated_normal(lo, hi, sh, d, key_or_next(key), s);
      },
      "lower"_a, "upper"_a, "shape"_a.none() = nb::none(), "dtype"_a.none() = mx::float32,
      KEY_ARGS);
  def_function(
      m, "gumbel", "(shape: Sequence[int] = [], dtype: Dtype | None = float32, " KEY_SIG,
      "Numbers of the standard Gumbel distribution.",
      [](nb::handle shape, std::optional<mx::Dtype> dtype, nb::handle key, mx::StreamOrDevice s) {
        return mx::random::gumbel(to_shape(shape, "gumbel"), dtype.value_or(mx::float32),
                                  key_or_next(key), s);
      },
      "shape"_a = nb::tuple(), "dtype"_a.none() = mx::float32, KEY_ARGS);
  def_function(
      m, "laplace",
      "(shape: Sequence[int] = [], dtype: Dtype | None = float32, loc: float = 0.0, scale: float = "
      "1.0, " KEY_SIG,
      "Numbers of the Laplace distribution.",
      [](nb::handle shape, std::optional<mx::Dtype> dtype, float loc, float scale, nb::handle key,
         mx::StreamOrDevice s) {
        return mx::random::laplace(to_shape(shape, "laplace"), dtype.value_or(mx::float32), loc,
                                   scale, key_or_next(key), s);
      },
      "shape"_a = nb::tuple(), "dtype"_a.none() = mx::float32, "loc"_a = 0.0f, "scale"_a = 1.0f,
      KEY_ARGS);
  def_function(
      m, "categorical",
      "(logits: array, axis: int = -1, shape: Sequence[int] | None = None, num_samples: int | None "
      "= None, " KEY_SIG,
      "Indices (``uint32``) along ``axis`` drawn with the probabilities of ``softmax(logits)``. "
      "Raises ``ValueError`` if both ``shape`` and ``num_samples`` are given.",
      [](const mx::array& logits, int axis, nb::handle shape, std::optional<int> num_samples,
         nb::handle key, mx::StreamOrDevice s) {
        if (!shape.is_none() && num_samples) {
          throw std::invalid_argument(
              "[categorical] At most one of shape or num_samples can be specified.");
        }
        mx::array k = key_or_next(key);
        if (!shape.is_none())
          return mx::random::categorical(logits, axis, to_shape(shape, "categorical"), k, s);
        if (num_samples) return mx::random::categorical(logits, axis, *num_samples, k, s);
        return mx::random::categorical(logits, axis, k, s);
      },
      "logits"_a, "axis"_a = -1, "shape"_a.none() = nb::none(), "num_samples"_a.none() = nb::none(),
      KEY_ARGS);
  def_function(
      m, "permutation", "(x: int | array, axis: int = 0, " KEY_SIG,
      "The slices of ``x`` along ``axis``, or the numbers below ``x``, in random order.",
      [](nb::handle x, int axis, nb::handle key, mx::StreamOrDevice s) {
        mx::array k = key_or_next(key);
        if (PyLong_Check(x.ptr())) return mx::random::permutation(to_int(x, "permutation"), k, s);
        return mx::random::permutation(to_array(x), axis, k, s);
      },
      "x"_a, "axis"_a = 0, KEY_ARGS);
}
#else
bool is_random_state(nb::handle) { return false; }
nb::list random_state_list() { return nb::list(); }
void set_random_key(const mx::array&) {}
void bind_random(nb::module_&) {}
#endif
