// core/ops/stft.cpp: transforms of overlapping windows of a signal, and the signal from them.
#include <stdexcept>
#include <string>

#include "mlx/fft.h"
#include "mlx/ops.h"

namespace mlx::core::fft {

namespace {

[[noreturn]] void refuse(const char* op, const std::string& what) {
  throw std::invalid_argument(std::string("[") + op + "] " + what);
}

/** How windows lie on a signal; checked. */
struct Frames {
  int n_fft;
  int hop;
  array window;  // n_fft values, dtype of the caller's choice or float32

  Frames(const char* op, int n, const std::optional<int>& hop_length,
         const std::optional<int>& win_length, const std::optional<array>& given, StreamOrDevice s)
      : n_fft(n), hop(hop_length.value_or(n / 4)), window(array(1.0f)) {
    if (n_fft <= 0) refuse(op, "n_fft must be positive, got " + std::to_string(n_fft) + ".");
    if (hop <= 0) {
      refuse(op, "hop_length must be positive, got " + std::to_string(hop) +
                     (hop_length ? "." : " (a quarter of n_fft)."));
    }
    if (given && given->ndim() != 1) {
      refuse(op, "window must be a one-dimensional array, got shape " + to_string(given->shape()) +
                     ".");
    }
    int length = given ? given->shape(0) : win_length.value_or(n_fft);
    if (length < 0) refuse(op, "win_length must not be negative.");
    if (length > n_fft) {
      refuse(op, "window length must not exceed n_fft: " + std::to_string(length) + " > " +
                     std::to_string(n_fft) + ".");
    }
    window = given ? *given : ones({length}, float32, s);
    if (window.dtype() != complex64)
      window = astype(window, promote_types(window.dtype(), float32), s);
    int before = (n_fft - length) / 2;
    if (length < n_fft) {
      window = pad(window, {0}, {before}, {n_fft - length - before}, array(0, window.dtype()),
                   "constant", s);
    }
  }
};

/** Positions in the signal of the elements of frames, [frames, n_fft]. */
array positions(int frames, const Frames& f, StreamOrDevice s) {
  array starts = multiply(reshape(arange(0, frames, 1, s), {frames, 1}, s), array(f.hop), s);
  return add(starts, reshape(arange(0, f.n_fft, 1, s), {1, f.n_fft}, s), s);
}

/** [..., frames, n_fft] added up where they lie: [..., length]. */
array overlap_add(const array& frames, const array& where_to, int length, StreamOrDevice s) {
  Shape flat(frames.shape().begin(), frames.shape().end() - 2);
  Shape out = flat;
  int per = static_cast<int>(where_to.size());
  flat.push_back(per);
  out.push_back(length);
  Shape ones_shape(flat.size(), 1);
  ones_shape.back() = per;
  array index = broadcast_to(reshape(where_to, ones_shape, s), flat, s);
  return scatter_add_axis(zeros(out, frames.dtype(), s), index, reshape(frames, flat, s), -1, s);
}

}  // namespace

array stft(const array& x, int n_fft, const std::optional<int>& hop_length,
           const std::optional<int>& win_length, const std::optional<array>& window, bool center,
           const std::string& pad_mode, FFTNorm norm, const std::optional<bool>& onesided,
           StreamOrDevice s) {
  if (x.ndim() == 0) refuse("stft", "Input must have at least one dimension.");
  Frames f("stft", n_fft, hop_length, win_length, window, s);
  array signal = x;
  if (center) {
    if (x.shape(-1) == 0) refuse("stft", "Input is empty: nothing to pad.");
    int around = n_fft / 2;
    signal = pad(x, {-1}, {around}, {around}, array(0, x.dtype()), pad_mode, s);
  }
  int length = signal.shape(-1);
  if (length < n_fft) {
    refuse("stft", "Input is too short for the given n_fft: " + std::to_string(length) + " < " +
                       std::to_string(n_fft) + ".");
  }
  int frames = 1 + (length - n_fft) / f.hop;
  array pieces = take(signal, positions(frames, f, s), -1, s);  // [..., frames, n_fft]
  pieces = multiply(pieces, f.window, s);
  bool half = onesided.value_or(pieces.dtype() != complex64);
  array out = half ? rfft(pieces, -1, norm, s) : fft(pieces, -1, norm, s);
  return swapaxes(out, -1, -2, s);
}

array istft(const array& stft_matrix, const std::optional<int>& n_fft,
            const std::optional<int>& hop_length, const std::optional<int>& win_length,
            const std::optional<array>& window, bool center, FFTNorm norm,
            const std::optional<bool>& onesided, const std::optional<int>& length,
            StreamOrDevice s) {
  const array& x = stft_matrix;
  if (x.ndim() < 2) refuse("istft", "Input must have at least two dimensions (freq, frames).");
  if (length && *length < 0) refuse("istft", "length must not be negative.");
  bool half = onesided.value_or(true);
  Frames f("istft", n_fft.value_or(half ? 2 * (x.shape(-2) - 1) : x.shape(-2)), hop_length,
           win_length, window, s);
  int frames = x.shape(-1);
  if (frames == 0) refuse("istft", "There are no frames.");

  array spectra = swapaxes(x, -1, -2, s);
  array pieces = half ? irfft(spectra, f.n_fft, -1, norm, s) : ifft(spectra, f.n_fft, -1, norm, s);
  // Least squares: each sample is the mean of what frames say, weighted with the window's power.
  array w = f.window;
  if (w.dtype() != complex64 && !half) pieces = real(pieces, s);
  array power = w.dtype() == complex64 ? real(multiply(w, conjugate(w, s), s), s) : square(w, s);
  pieces = multiply(pieces, w.dtype() == complex64 ? conjugate(w, s) : w, s);
  array where_to = positions(frames, f, s);
  int total = f.n_fft + (frames - 1) * f.hop;
  array sum = overlap_add(pieces, where_to, total, s);
  array weight = overlap_add(broadcast_to(power, {frames, f.n_fft}, s), where_to, total, s);
  array out = divide(sum, maximum(weight, array(1e-8f), s), s);

  int first = center ? f.n_fft / 2 : 0;
  int last = center ? std::max(first, total - f.n_fft / 2) : total;
  if (length) last = std::min(total, first + *length);
  Shape start(out.ndim(), 0), stop = out.shape();
  start.back() = first, stop.back() = last;
  out = slice(out, start, stop, s);
  if (length && last - first < *length) {
    out = pad(out, {-1}, {0}, {*length - (last - first)}, array(0, out.dtype()), "constant", s);
  }
  return out;
}

}  // namespace mlx::core::fft
