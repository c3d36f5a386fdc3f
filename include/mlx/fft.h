// include/mlx/fft.h: discrete Fourier transforms.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "mlx/array.h"
#include "mlx/utils.h"

namespace mlx::core::fft {

/** Where 1/N goes: to the inverse, as its square root to both, or to the forward transform. */
enum class FFTNorm {
  Backward,
  Ortho,
  Forward,
};

// Results are complex64; of irfft and its relatives float32 (float64 for float64). Computed in
// float32, for float64 inputs in double. n gives the sizes of axes (cut, or filled up with zeros);
// without axes, all are transformed.
array fftn(const array& a, const Shape& n, const std::vector<int>& axes,
           FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array fftn(const array& a, const std::vector<int>& axes, FFTNorm norm = FFTNorm::Backward,
           StreamOrDevice s = {});
array fftn(const array& a, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array ifftn(const array& a, const Shape& n, const std::vector<int>& axes,
            FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array ifftn(const array& a, const std::vector<int>& axes, FFTNorm norm = FFTNorm::Backward,
            StreamOrDevice s = {});
array ifftn(const array& a, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});

/** Of real arrays: the last of axes keeps n/2 + 1 elements, the others follow by symmetry. */
array rfftn(const array& a, const Shape& n, const std::vector<int>& axes,
            FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array rfftn(const array& a, const std::vector<int>& axes, FFTNorm norm = FFTNorm::Backward,
            StreamOrDevice s = {});
array rfftn(const array& a, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
/** The inverse of rfftn; without n, the last of axes gets 2 (size - 1) elements. */
array irfftn(const array& a, const Shape& n, const std::vector<int>& axes,
             FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});
array irfftn(const array& a, const std::vector<int>& axes, FFTNorm norm = FFTNorm::Backward,
             StreamOrDevice s = {});
array irfftn(const array& a, FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {});

#define MLX_FFT_OF_ONE_AND_TWO(name)                                                   \
  inline array name(const array& a, int n, int axis, FFTNorm norm = FFTNorm::Backward, \
                    StreamOrDevice s = {}) {                                           \
    return name##n(a, Shape{n}, std::vector<int>{axis}, norm, s);                      \
  }                                                                                    \
  inline array name(const array& a, int axis = -1, FFTNorm norm = FFTNorm::Backward,   \
                    StreamOrDevice s = {}) {                                           \
    return name##n(a, std::vector<int>{axis}, norm, s);                                \
  }                                                                                    \
  inline array name##2(const array& a, const Shape& n, const std::vector<int>& axes,   \
                       FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {}) {      \
    return name##n(a, n, axes, norm, s);                                               \
  }                                                                                    \
  inline array name##2(const array& a, const std::vector<int>& axes = {-2, -1},        \
                       FFTNorm norm = FFTNorm::Backward, StreamOrDevice s = {}) {      \
    return name##n(a, axes, norm, s);                                                  \
  }
MLX_FFT_OF_ONE_AND_TWO(fft)
MLX_FFT_OF_ONE_AND_TWO(ifft)
MLX_FFT_OF_ONE_AND_TWO(rfft)
MLX_FFT_OF_ONE_AND_TWO(irfft)
#undef MLX_FFT_OF_ONE_AND_TWO

/** The frequencies of fft's (rfft's) results, in cycles per unit of the sample spacing d. */
array fftfreq(int n, double d = 1.0, StreamOrDevice s = {});
array rfftfreq(int n, double d = 1.0, StreamOrDevice s = {});

/** Moves frequency 0 to the middle of the axes (all by default), and back. */
array fftshift(const array& a, StreamOrDevice s = {});
array fftshift(const array& a, const std::vector<int>& axes, StreamOrDevice s = {});
array ifftshift(const array& a, StreamOrDevice s = {});
array ifftshift(const array& a, const std::vector<int>& axes, StreamOrDevice s = {});

/**
 * Transforms of windows of n_fft samples of the last axis, hop_length (n_fft / 4) apart: shape
 * (..., frequencies, frames). The window (ones) lies in the middle of n_fft.
 */
array stft(const array& x, int n_fft = 2048, const std::optional<int>& hop_length = std::nullopt,
           const std::optional<int>& win_length = std::nullopt,
           const std::optional<array>& window = std::nullopt, bool center = true,
           const std::string& pad_mode = "reflect", FFTNorm norm = FFTNorm::Backward,
           const std::optional<bool>& onesided = std::nullopt, StreamOrDevice s = {});
/** The signal whose stft is nearest to the one given. */
array istft(const array& stft_matrix, const std::optional<int>& n_fft = std::nullopt,
            const std::optional<int>& hop_length = std::nullopt,
            const std::optional<int>& win_length = std::nullopt,
            const std::optional<array>& window = std::nullopt, bool center = true,
            FFTNorm norm = FFTNorm::Backward, const std::optional<bool>& onesided = std::nullopt,
            const std::optional<int>& length = std::nullopt, StreamOrDevice s = {});

}  // namespace mlx::core::fft
