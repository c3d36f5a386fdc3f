// backend/cpu/quantized.cpp: quantisation and its matrix products.
#include "core/prim/quantized.h"
#include "backend/cpu/quant/quant.h"
#include "core/copy.h"
#include "core/prim/fp8.h"

namespace mlx::core::cpu {

namespace {

using Arrays = std::vector<array>;

/** The global scales of an input: one, or one for each of as many equal parts. */
std::vector<float> global_scales(const Arrays& in, size_t at) {
  if (in.size() <= at) return {0.0f};
  array g = row_contiguous(in[at]);
  return {g.data<float>(), g.data<float>() + g.size()};
}

void quantize_floats(const Quantization& q, const array& w, size_t groups,
                     const std::vector<float>& global, uint32_t* packed, uint8_t* scales) {
  const size_t part = groups / std::max<size_t>(1, global.size());
  const size_t values = static_cast<size_t>(q.group_size);
  for (size_t i = 0; i < global.size() && part > 0; ++i) {
    float_quantize(q.mode, w.data<char>() + i * part * values * w.itemsize(), w.dtype(), part,
                   global[i], packed + i * part * values * q.bits / 32, scales + i * part);
  }
}

void dequantize_floats(const Quantization& q, const uint32_t* packed, const uint8_t* scales,
                       size_t groups, const std::vector<float>& global, array& out) {
  const size_t part = groups / std::max<size_t>(1, global.size());
  const size_t values = static_cast<size_t>(q.group_size);
  for (size_t i = 0; i < global.size() && part > 0; ++i) {
    float_dequantize(q.mode, packed + i * part * values * q.bits / 32, scales + i * part, part,
                     global[i], out.dtype(), out.data<char>() + i * part * values * out.itemsize());
  }
}

void run_quantize(const Quantize& p, const Arrays& in, Arrays& out) {
  for (auto& o : out) allocate(o);
  array w = row_contiguous(in[0]);
  if (!p.params().affine()) {
    quantize_floats(p.params(), w, out[1].size(), global_scales(in, 1), out[0].data<uint32_t>(),
                    out[1].data<uint8_t>());
    return;
  }
  affine_quantize(w.data<void>(), w.dtype(), out[1].size(), p.params().group_size, p.params().bits,
                  out[0].data<uint32_t>(), out[1].data<void>(), out[2].data<void>());
}

void run_dequantize(const Dequantize& p, const Arrays& in, Arrays& out) {
  allocate(out[0]);
  array w = row_contiguous(in[0]), scales = row_contiguous(in[1]);
  if (!p.params().affine()) {
    dequantize_floats(p.params(), w.data<uint32_t>(), scales.data<uint8_t>(), scales.size(),
                      global_scales(in, 2), out[0]);
    return;
  }
  array biases = row_contiguous(in[2]);
  affine_dequantize(w.data<uint32_t>(), scales.data<void>(), biases.data<void>(), scales.dtype(),
                    scales.size(), p.params().group_size, p.params().bits, out[0].data<void>());
}

void run_value(const QuantizedValue& p, const Arrays& in, Arrays& out) {
  allocate(out[0]);
  const Quantization& q = p.params();
  array w = row_contiguous(in[0]);
  const size_t groups = w.size() / static_cast<size_t>(q.group_size);
  std::vector<uint32_t> packed(w.size() * q.bits / 32);
  if (!q.affine()) {
    std::vector<uint8_t> scales(groups);
    auto global = global_scales(in, 1);
    quantize_floats(q, w, groups, global, packed.data(), scales.data());
    dequantize_floats(q, packed.data(), scales.data(), groups, global, out[0]);
    return;
  }
  std::vector<char> scales(groups * w.itemsize()), biases(scales.size());
  affine_quantize(w.data<void>(), w.dtype(), groups, q.group_size, q.bits, packed.data(),
                  scales.data(), biases.data());
  affine_dequantize(packed.data(), scales.data(), biases.data(), w.dtype(), groups, q.group_size,
                    q.bits, out[0].data<void>());
}

void run_fp8(const ConvertFP8& p, const Arrays& in, Arrays& out) {
  allocate(out[0]);
  array x = row_contiguous(in[0]);
  if (p.to_fp8()) {
    to_fp8(x.data<void>(), x.dtype(), x.size(), out[0].data<uint8_t>());
  } else {
    from_fp8(x.data<uint8_t>(), x.size(), out[0].dtype(), out[0].data<void>());
  }
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
  array scales = row_contiguous(in[2]), biases = row_contiguous(in.size() > 3 ? in[3] : in[2]);
  size_t k = x.shape(-1), n = out.shape(-1);
  AffineMatrix w{packed.data<uint32_t>(),
                 scales.data<void>(),
                 biases.data<void>(),
                 scales.dtype(),
                 static_cast<size_t>(packed.shape(-2)),
                 static_cast<size_t>(scales.shape(-1)) * p.params().group_size,
                 p.params().group_size,
                 p.params().bits,
                 p.params().mode};
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
const RegisterKernel<QuantizedValue> value_kernel{Device::cpu, &run_value};
const RegisterKernel<ConvertFP8> fp8_kernel{Device::cpu, &run_fp8};
const RegisterKernel<QuantizedMatmul> matmul_kernel{Device::cpu, &run_matmul};

}  // namespace

}  // namespace mlx::core::cpu
