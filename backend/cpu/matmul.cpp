// backend/cpu/matmul.cpp: matrix products over arrays of any strides.
#include "core/prim/matmul.h"
#include "backend/cpu/gemm/gemm.h"
#include "core/copy.h"
#include "core/tape.h"

namespace mlx::core::cpu {

namespace {

struct Operand {
  GemmMatrix matrix;
  std::vector<int64_t> offsets;
};

void describe(const array& a, Operand& out) {
  out.matrix.data = a.data<void>();
  out.matrix.row_stride = a.strides(-2);
  out.matrix.col_stride = a.strides(-1);
  int batch_axes = static_cast<int>(a.ndim()) - 2;
  if (batch_axes == 1) {
    out.matrix.batch_stride = a.strides(0);
  } else if (batch_axes > 1) {
    std::vector<int64_t> shape(a.shape().begin(), a.shape().end() - 2);
    std::vector<int64_t> strides(a.strides().begin(), a.strides().end() - 2);
    out.offsets = batch_offsets(shape, strides);
    out.matrix.offsets = out.offsets.data();
  }
}

/** One k step: each element is one product, and the tape writes those as fast as memory takes them.
 */
void outer_product(const array& a, const array& b, array& out) {
  Tape tape;
  auto dtype = out.dtype().val();
  tape.inputs = {dtype, dtype};
  tape.instrs = {{EwOp::Multiply, dtype, dtype, {0, 1, 0}}};
  tape.outputs = {2};
  Strides down = a.strides(), across = b.strides();
  down.back() = 0;
  across[across.size() - 2] = 0;
  auto data = [](const array& x) {
    return const_cast<void*>(static_cast<const void*>(x.data<void>()));
  };
  tape_runner(Device::cpu)(tape, out.shape(),
                           {{data(a), down}, {data(b), across}, {out.data<void>(), out.strides()}});
}

void multiply(const array& a, const array& b, const array* c, double alpha, double beta,
              array& out) {
  allocate(out);
  if (out.size() == 0) return;
  if (a.shape(-1) == 1 && !c && alpha == 1) return outer_product(a, b, out);
  GemmArgs args;
  args.dtype = out.dtype();
  args.m = a.shape(-2);
  args.k = a.shape(-1);
  args.n = b.shape(-1);
  args.batch = static_cast<int64_t>(out.size()) / (args.m * args.n);
  Operand oa, ob, oc;
  describe(a, oa);
  describe(b, ob);
  args.a = oa.matrix;
  args.b = ob.matrix;
  args.c = out.data<void>();
  args.alpha = alpha;
  if (c) {
    describe(*c, oc);
    args.d = oc.matrix;
    args.beta = beta;
  }
  gemm(args);
}

void run_matmul(const Matmul&, const std::vector<array>& in, std::vector<array>& out) {
  multiply(in[0], in[1], nullptr, 1, 0, out[0]);
}

void run_addmm(const AddMM& p, const std::vector<array>& in, std::vector<array>& out) {
  auto [alpha, beta] = p.state();
  multiply(in[0], in[1], &in[2], alpha, beta, out[0]);
}

const RegisterKernel<Matmul> matmul_kernel{Device::cpu, &run_matmul};
const RegisterKernel<AddMM> addmm_kernel{Device::cpu, &run_addmm};

}  // namespace

}  // namespace mlx::core::cpu
