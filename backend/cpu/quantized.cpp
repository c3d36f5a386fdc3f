// backend/cpu/quantized.cpp: affine quantisation and its matrix products.
#include "core/prim/quantized.h"
#include "backend/cpu/quant/quant.h"
#include "core/copy.h"

namespace mlx::core::cpu {

namespace {

using Arrays = std::vector<array>;

void run_quantize(const Quantize& p, const Arrays& in, Arrays& out) {
  for (auto& o : out) allocate(o);
  array w = row_contiguous(in[0]);
  affine_quantize(w.data<void>(), w.dtype(), out[1].size(), p.params().group_size, p.params().bits,
                  out[0].data<uint32_t>(), out[1].data<void>(), out[2].data<void>());
}

void run_dequantize(const Dequantize& p, const Arrays& in, Arrays& out) {
  allocate(out[0]);
  array w = row_contiguous(in[0]), scales = row_contiguous(in[1]), biases = row_contiguous(in[2]);
  affine_dequantize(w.data<uint32_t>(), scales.data<void>(), biases.data<void>(), scales.dtype(),
                    scales.size(), p.params().group_size, p.params().bits, out[0].data<void>());
}

/** Element offset of each matrix of a broadcast batch, where the last two axes are the matrix. */
std::vector<size_t> offsets(const array& a, const Shape& batch) {
  size_t count = 1;
  for (auto d : batch) count *= d;
  std::vector<size_t> out(count);
  int axes = static_cast<int>(a.ndim()) - 2;
  for (size_t i = 0; i < count; ++i) {
    size_t rest = i, at = 0;
    for (int d = static_cast<int>(batch.size()) - 1, k = axes - 1; d >= 0; --d, --k) {
      size_t pos = rest % batch[d];
      rest /= batch[d];
      if (k >= 0 && a.shape(k) != 1) at += pos * a.strides(k);
    }
    out[i] = at;
  }
  return out;
}

void run_matmul(const QuantizedMatmul& p, const Arrays& in, Arrays& outputs) {
  array& out = outputs[0];
  allocate(out);
  if (out.size() == 0) return;
  array x = row_contiguous(in[0]), packed = row_contiguous(in[1]);
  array scales = row_contiguous(in[2]), biases = row_contiguous(in[3]);
  size_t k = x.shape(-1), n = out.shape(-1);
  AffineMatrix w{packed.data<uint32_t>(),
                 scales.data<void>(),
                 biases.data<void>(),
                 scales.dtype(),
                 static_cast<size_t>(packed.shape(-2)),
                 static_cast<size_t>(scales.shape(-1)) * p.params().group_size,
                 p.params().group_size,
                 p.params().bits};
  if (packed.ndim() == 2) {
    // One matrix: the rows of all of x's batch are one product.
    size_t m = out.size() / n;
    quantized_matmul(x.data<void>(), x.dtype(), k, m, w, p.transpose(), out.data<void>(),
                     out.dtype(), n);
    return;
  }
  size_t m = x.ndim() > 1 ? x.shape(-2) : 1;
  Shape batch(out.shape().begin(), out.shape().end() - (x.ndim() > 1 ? 2 : 1));
  // A vector has no matrix axes of its own to skip, and no batch either.
  auto xs = x.ndim() > 1 ? offsets(x, batch) : std::vector<size_t>(out.size() / n, 0);
  auto ws = offsets(packed, batch), ss = offsets(scales, batch);
  std::vector<QuantizedBatch> parts(ws.size());
  for (size_t i = 0; i < parts.size(); ++i) parts[i] = {xs[i], ws[i], ss[i], i * m * n};
  quantized_matmul(x.data<void>(), x.dtype(), k, m, w, p.transpose(), out.data<void>(), out.dtype(),
                   n, parts.data(), parts.size());
}

const RegisterKernel<Quantize> quantize_kernel{Device::cpu, &run_quantize};
const RegisterKernel<Dequantize> dequantize_kernel{Device::cpu, &run_dequantize};
const RegisterKernel<QuantizedMatmul> matmul_kernel{Device::cpu, &run_matmul};

}  // namespace

}  // namespace mlx::core::cpu
