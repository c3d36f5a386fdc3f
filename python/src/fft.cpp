// python/src/fft.cpp: mx.fft, discrete Fourier transforms.
#include "mlx/fft.h"

#include <nanobind/stl/string.h>

#include <numeric>

#include "bind.h"
#include "define.h"

namespace {

using mx::fft::FFTNorm;

FFTNorm norm_of(const char* op, const std::string& name) {
  if (name == "backward") return FFTNorm::Backward;
  if (name == "ortho") return FFTNorm::Ortho;
  if (name == "forward") return FFTNorm::Forward;
  throw std::invalid_argument(std::string("[") + op + "] Invalid norm '" + name +
                              "'. Expected one of {'backward', 'ortho', 'forward'}.");
}

using One = mx::array (*)(const mx::array&, int, int, FFTNorm, mx::StreamOrDevice);
using OneWhole = mx::array (*)(const mx::array&, int, FFTNorm, mx::StreamOrDevice);
using Many = mx::array (*)(const mx::array&, const mx::Shape&, const std::vector<int>&, FFTNorm,
                           mx::StreamOrDevice);
using ManyWhole = mx::array (*)(const mx::array&, const std::vector<int>&, FFTNorm,
                                mx::StreamOrDevice);
using All = mx::array (*)(const mx::array&, FFTNorm, mx::StreamOrDevice);

void def_one(nb::module_& m, const char* name, One sized, OneWhole whole, const char* doc) {
  def_function(
      m, name,
      "(a: array, n: int | None = None, axis: int = -1, norm: str = 'backward', " STREAM_SIG, doc,
      [=](const mx::array& a, std::optional<int> n, int axis, const std::string& norm,
          mx::StreamOrDevice s) {
        FFTNorm k = norm_of(name, norm);
        return n ? sized(a, *n, axis, k, s) : whole(a, axis, k, s);
      },
      "a"_a, "n"_a.none() = nb::none(), "axis"_a = -1, "norm"_a = "backward",
      "stream"_a.none() = nb::none());
}

void def_many(nb::module_& m, const char* name, Many sized, ManyWhole whole, All all, bool two,
              const char* doc) {
  std::string sig =
      std::string("(a: array, s: Sequence[int] | None = None, axes: Sequence[int] | None = ") +
      (two ? "[-2, -1]" : "None") + ", norm: str = 'backward', " STREAM_SIG;
  nb::object axes_default = nb::none();
  if (two) {
    nb::list l;
    l.append(-2);
    l.append(-1);
    axes_default = l;
  }
  def_function(
      m, name, keep_text(sig), doc,
      [=](const mx::array& a, nb::handle n, nb::handle axes, const std::string& norm,
          mx::StreamOrDevice s) {
        FFTNorm k = norm_of(name, norm);
        if (axes.is_none()) {
          if (!n.is_none()) {
            throw std::invalid_argument(std::string("[") + name +
                                        "] `axes` should not be `None` if `s` is not `None`.");
          }
          return all(a, k, s);
        }
        if (n.is_none()) return whole(a, to_ints(axes, name), k, s);
        return sized(a, to_shape(n, name), to_ints(axes, name), k, s);
      },
      "a"_a, "s"_a.none() = nb::none(), "axes"_a.none() = axes_default, "norm"_a = "backward",
      "stream"_a.none() = nb::none());
}

void def_shift(nb::module_& m, const char* name,
               mx::array (*some)(const mx::array&, const std::vector<int>&, mx::StreamOrDevice),
               mx::array (*all)(const mx::array&, mx::StreamOrDevice), const char* doc) {
  def_function(
      m, name, "(a: array, axes: int | Sequence[int] | None = None, " STREAM_SIG, doc,
      [=](const mx::array& a, nb::handle axes, mx::StreamOrDevice s) {
        return axes.is_none() ? all(a, s) : some(a, to_ints(axes, name), s);
      },
      "a"_a, "axes"_a.none() = nb::none(), "stream"_a.none() = nb::none());
}

void bind_one(nb::module_& m) {
  namespace f = mx::fft;
  def_one(m, "fft", f::fft, f::fft, R"(
The discrete Fourier transform along an axis: ``sum(a[j] * exp(-2j * pi * j * k / n))``.

``n`` cuts the axis or fills it up with zeros. ``norm`` says where the factor ``1 / n`` goes: to the
inverse (``'backward'``), to this (``'forward'``), or its square root to both (``'ortho'``). The
result is ``complex64``; ``float64`` input is computed in double. Raises ``ValueError`` for ``n``
below 1 and ``IndexError`` for an axis out of range.

Example:
  >>> mx.fft.fft(mx.array([1.0, 0.0, 0.0, 0.0]))
  array([1+0j, 1+0j, 1+0j, 1+0j], dtype=complex64))");
  def_one(m, "ifft", f::ifft, f::ifft, R"(
The inverse of :func:`fft`.

Example:
  >>> mx.fft.ifft(mx.array([4.0, 0.0, 0.0, 0.0]))
  array([1+0j, 1+0j, 1+0j, 1+0j], dtype=complex64))");
  def_one(m, "rfft", f::rfft, f::rfft, R"(
The first ``n // 2 + 1`` elements of the :func:`fft` of a real array; the others mirror them.

Example:
  >>> mx.fft.rfft(mx.array([0.0, 1.0, 0.0, -1.0]))
  array([0+0j, 0-2j, 0+0j], dtype=complex64))");
  def_one(m, "irfft", f::irfft, f::irfft, R"(
The inverse of :func:`rfft`: ``n`` real numbers (``2 * (size - 1)`` if not given) from ``n // 2 + 1``
complex ones. The result is ``float32``, of ``float64`` input ``float64``.

Example:
  >>> mx.fft.irfft(mx.array([4.0, 0.0, 0.0]))
  array([1, 1, 1, 1], dtype=float32))");
}

#define MANY(name) static_cast<Many>(f::name), static_cast<ManyWhole>(f::name)
#define ALL(name) static_cast<All>(f::name)

void bind_many(nb::module_& m) {
  namespace f = mx::fft;
  def_many(m, "fft2", MANY(fft2), ALL(fftn), true, R"(
:func:`fft` along two axes, the last ones if not given. ``s`` holds their sizes.

Example:
  >>> mx.fft.fft2(mx.ones((2, 2)))
  array([[4+0j, 0+0j],
         [0+0j, 0+0j]], dtype=complex64))");
  def_many(m, "ifft2", MANY(ifft2), ALL(ifftn), true, "The inverse of :func:`fft2`.");
  def_many(m, "fftn", MANY(fftn), ALL(fftn), false,
           ":func:`fft` along several axes, all of them if not given. ``s`` holds their sizes, and "
           "needs ``axes``.");
  def_many(m, "ifftn", MANY(ifftn), ALL(ifftn), false, "The inverse of :func:`fftn`.");
  def_many(m, "rfft2", MANY(rfft2), ALL(rfftn), true,
           ":func:`fft2` of a real array: half the elements along the last of ``axes``.");
  def_many(m, "irfft2", MANY(irfft2), ALL(irfftn), true, "The inverse of :func:`rfft2`.");
  def_many(m, "rfftn", MANY(rfftn), ALL(rfftn), false,
           ":func:`fftn` of a real array: half the elements along the last of ``axes``.");
  def_many(m, "irfftn", MANY(irfftn), ALL(irfftn), false, "The inverse of :func:`rfftn`.");
  def_shift(m, "fftshift", f::fftshift, f::fftshift, R"(
Moves frequency 0 to the middle of ``axes`` (all by default).

Example:
  >>> mx.fft.fftshift(mx.arange(5))
  array([3, 4, 0, 1, 2], dtype=int32))");
  def_shift(m, "ifftshift", f::ifftshift, f::ifftshift, "The inverse of :func:`fftshift`.");
}

void bind_rest(nb::module_& m) {
  namespace f = mx::fft;
  def_function(m, "fftfreq", "(n: int, d: float = 1.0, " STREAM_SIG, R"(
The frequency of each element of :func:`fft` of ``n`` samples ``d`` apart.

Example:
  >>> mx.fft.fftfreq(4)
  array([0, 0.25, -0.5, -0.25], dtype=float32))",
               &f::fftfreq, "n"_a, "d"_a = 1.0, "stream"_a.none() = nb::none());
  def_function(m, "rfftfreq", "(n: int, d: float = 1.0, " STREAM_SIG,
               "The frequency of each element of :func:`rfft` of ``n`` samples ``d`` apart.",
               &f::rfftfreq, "n"_a, "d"_a = 1.0, "stream"_a.none() = nb::none());
  def_function(
      m, "stft",
      "(x: array, n_fft: int = 2048, hop_length: int | None = None, win_length: int | None = None, "
      "window: array | None = None, center: bool = True, pad_mode: str = 'reflect', norm: str = "
      "'backward', onesided: bool | None = None, " STREAM_SIG,
      R"(
Transforms of windows of ``n_fft`` samples along the last axis, ``hop_length`` (``n_fft // 4``)
apart, as an array (..., frequencies, frames).

``window`` (ones, ``win_length`` of them) lies in the middle of the ``n_fft`` samples. If ``center``,
the signal is padded by ``n_fft // 2`` on both sides, so that frames are centred at multiples of
``hop_length``. ``onesided`` keeps ``n_fft // 2 + 1`` frequencies: the default for real signals.

Example:
  >>> mx.fft.stft(mx.ones((16,)), n_fft=4).shape
  (3, 17))",
      [](const mx::array& x, int n_fft, std::optional<int> hop, std::optional<int> win,
         nb::handle window, bool center, const std::string& pad_mode, const std::string& norm,
         std::optional<bool> onesided, mx::StreamOrDevice s) {
        return f::stft(x, n_fft, hop, win, to_optional_array(window), center, pad_mode,
                       norm_of("stft", norm), onesided, s);
      },
      "x"_a, "n_fft"_a = 2048, "hop_length"_a.none() = nb::none(),
      "win_length"_a.none() = nb::none(), "window"_a.none() = nb::none(), "center"_a = true,
      "pad_mode"_a = "reflect", "norm"_a = "backward", "onesided"_a.none() = nb::none(),
      "stream"_a.none() = nb::none());
  def_function(
      m, "istft",
      "(stft_matrix: array, n_fft: int | None = None, hop_length: int | None = None, win_length: "
      "int | None = None, window: array | None = None, center: bool = True, norm: str = "
      "'backward', onesided: bool | None = None, length: int | None = None, " STREAM_SIG,
      R"(
The signal whose :func:`stft` is nearest to the given one (in the sense of least squares), with the
same parameters; ``length`` cuts it or fills it up with zeros.

Example:
  >>> mx.fft.istft(mx.fft.stft(mx.ones((8,)), n_fft=4))
  array([1, 1, 1, ..., 1, 1, 1], dtype=float32))",
      [](const mx::array& x, std::optional<int> n_fft, std::optional<int> hop,
         std::optional<int> win, nb::handle window, bool center, const std::string& norm,
         std::optional<bool> onesided, std::optional<int> length, mx::StreamOrDevice s) {
        return f::istft(x, n_fft, hop, win, to_optional_array(window), center,
                        norm_of("istft", norm), onesided, length, s);
      },
      "stft_matrix"_a, "n_fft"_a.none() = nb::none(), "hop_length"_a.none() = nb::none(),
      "win_length"_a.none() = nb::none(), "window"_a.none() = nb::none(), "center"_a = true,
      "norm"_a = "backward", "onesided"_a.none() = nb::none(), "length"_a.none() = nb::none(),
      "stream"_a.none() = nb::none());
}

}  // namespace

void bind_fft(nb::module_& parent) {
  nb::module_ m = parent.def_submodule("fft", "Discrete Fourier transforms.");
  bind_one(m);
  bind_many(m);
  bind_rest(m);
}
