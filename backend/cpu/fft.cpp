// backend/cpu/fft.cpp: FFT.
#include "core/prim/fft.h"

#include <memory>

#include "backend/cpu/fft/transform.h"
#include "backend/cpu/parallel.h"
#include "core/copy.h"
#include "mlx/allocator.h"

namespace mlx::core::cpu {

namespace {

/** Row-major memory that goes back when it leaves scope. */
template <typename T>
class Room {
 public:
  explicit Room(size_t n)
      : data_(std::make_shared<array::Data>(allocator::malloc(n * sizeof(T)))) {}
  T* data() const { return static_cast<T*>(data_->buffer().raw_ptr()); }

 private:
  std::shared_ptr<array::Data> data_;
};

template <typename To, typename From>
void convert(const From* in, To* out, size_t n) {
  parallel_range(int64_t(n), 1 << 15, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) out[i] = To(in[i]);
  });
}

fft::Lines lines_of(const Shape& shape, int axis) {
  fft::Lines x{1, size_t(shape[axis]), 1};
  for (int d = 0; d < axis; ++d) x.outer *= shape[d];
  for (size_t d = axis + 1; d < shape.size(); ++d) x.inner *= shape[d];
  return x;
}

/** in as complex<T>, then transforms of all axes but the last in place, or of all. */
template <typename T>
void run_as(const FFT& p, const array& x, array& out) {
  using C = std::complex<T>;
  const auto& axes = p.axes();
  const T scale = T(p.scale());
  // Where out holds what is computed, it is computed there.
  const bool out_is_c = out.dtype() == complex64 && std::is_same_v<T, float>;
  const bool from_half = p.kind() == FFT::FromHalf, to_half = p.kind() == FFT::ToHalf;
  std::unique_ptr<Room<C>> room;
  auto complex_memory = [&](size_t n) {
    if (out_is_c && !from_half) return reinterpret_cast<C*>(out.data<complex64_t>());
    room = std::make_unique<Room<C>>(n);
    return room->data();
  };

  // What the transforms of complex numbers read first.
  const C* from = nullptr;
  C* to = nullptr;
  size_t others = axes.size();  // axes still to do as complex numbers
  Shape shape = x.shape();
  if (to_half) {
    const int axis = axes.back();
    std::unique_ptr<Room<T>> converted;
    const T* reals;
    if (x.dtype() == float32 && std::is_same_v<T, double>) {
      converted = std::make_unique<Room<T>>(x.size());
      convert(x.data<float>(), converted->data(), x.size());
      reals = converted->data();
    } else {
      reals = x.data<T>();
    }
    fft::Lines lines = lines_of(shape, axis);
    to = complex_memory(out.size());
    fft::real_to_complex<T>(reals, to, lines, scale);
    from = to;
    shape = out.shape();
    --others;
  } else {
    if (x.dtype() == complex64 && std::is_same_v<T, float>) {
      from = reinterpret_cast<const C*>(x.data<complex64_t>());
    }
    if (!from || (from_half && axes.size() > 1) || !from_half) to = complex_memory(x.size());
    if (!from) {
      if (x.dtype() == complex64) {
        convert(x.data<complex64_t>(), to, x.size());
      } else if (x.dtype() == float64) {
        convert(x.data<double>(), to, x.size());
      } else {
        convert(x.data<float>(), to, x.size());
      }
      from = to;
    }
    others -= from_half;
  }
  for (size_t i = others; i-- > 0;) {
    const bool scaled = !to_half && !from_half && i == 0;
    fft::complex_to_complex<T>(from, to, lines_of(shape, axes[i]), p.inverse(),
                               scaled ? scale : T(1));
    from = to;
  }
  if (from_half) {
    fft::Lines lines = lines_of(out.shape(), axes.back());
    if (out.itemsize() == sizeof(T)) {
      fft::complex_to_real<T>(from, out.data<T>(), lines, scale);
    } else {
      Room<T> reals(out.size());
      fft::complex_to_real<T>(from, reals.data(), lines, scale);
      convert(reals.data(), out.data<float>(), out.size());
    }
  } else if (!out_is_c) {
    convert(to, reinterpret_cast<std::complex<float>*>(out.data<complex64_t>()), out.size());
  }
}

void run(const FFT& p, const std::vector<array>& inputs, std::vector<array>& outputs) {
  array& out = outputs[0];
  if (out.size() == 0 || inputs[0].size() == 0) return allocate(out);
  const bool wide = inputs[0].dtype() == float64 || out.dtype() == float64;
  if (!wide && p.kind() == FFT::Complex) {
    allocate_or_donate(inputs[0], out);  // before another handle of the input exists
  } else {
    allocate(out);
  }
  array x = row_contiguous(inputs[0]);
  wide ? run_as<double>(p, x, out) : run_as<float>(p, x, out);
}

const RegisterKernel<FFT> kernel{Device::cpu, &run};

}  // namespace

}  // namespace mlx::core::cpu
