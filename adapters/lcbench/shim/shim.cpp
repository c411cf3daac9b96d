// What tch 0.24 does not bind and the trainer needs: the fused AdamW kernel, the total norm of a list of gradients, the TF32
// switch, the statistics of the device's allocator, and autograd functions of our own. Every function returns 0, or -1 with the reason in lcbench_shim_error().
// Tensors are `at::Tensor*` as torch-sys hands them out; the lists are borrowed for the call.

#include <ATen/Context.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <vector>

#include "guard.h"

namespace {

using lcbench::caught;

template <class F>
int guarded(F body) {
  return caught([&] {
    c10::NoGradGuard no_grad;
    body();
  });
}

std::vector<at::Tensor> list(at::Tensor* const* tensors, size_t n) {
  std::vector<at::Tensor> out;
  out.reserve(n);
  for (size_t i = 0; i < n; i++) out.push_back(*tensors[i]);
  return out;
}

// The kernels walk raw memory: a gradient that is laid out otherwise than its parameter would be read in the wrong order.
std::vector<at::Tensor> contiguous(at::Tensor* const* tensors, size_t n) {
  auto out = list(tensors, n);
  for (auto& t : out) t = t.contiguous();
  return out;
}

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

// Cross-entropy of rows (N, E) projected onto a table (V, E), bias (V), against labels (N): their mean, or their sum by weights (N).
// Beside autograd's own composition it keeps one (N, V) tensor alive, not three.
struct ProjectedCrossEntropy : torch::autograd::Function<ProjectedCrossEntropy> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& rows, const at::Tensor& table, const at::Tensor& bias,
                            const at::Tensor& labels, const std::optional<at::Tensor>& weights) {
    auto log_p = at::log_softmax(at::addmm(bias, rows, table.t()), 1);
    auto at_label = labels.unsqueeze(1);
    auto right = log_p.gather(1, at_label);
    auto loss = weights ? right.squeeze(1).dot(*weights).neg() : right.mean().neg();
    ctx->save_for_backward({rows, table, at_label, log_p, weights.value_or(at::Tensor())});
    return loss;
  }

  static tensor_list backward(AutogradContext* ctx, const tensor_list& gradients) {
    auto saved = ctx->get_saved_variables();
    const auto &rows = saved[0], &table = saved[1], &at_label = saved[2], &weights = saved[4];
    auto d = saved[3].exp();
    d.scatter_add_(1, at_label, at::full_like(at_label, -1, d.options()));
    auto n = static_cast<double>(d.size(0));
    d.mul_(weights.defined() ? gradients[0].mul(weights).unsqueeze(1) : gradients[0].div(n));
    return {d.mm(table), d.t().mm(rows), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

extern "C" {

const char* lcbench_shim_error() { return lcbench::error.c_str(); }

// One step of AdamW over n parameters. `step` is a float scalar on their device that holds the number of this step, from 1.
// Gradients are divided by `scale` (a scalar tensor, or null) inside the kernel: clipping without a pass of its own.
int lcbench_fused_adamw(at::Tensor* const* params, at::Tensor* const* grads, at::Tensor* const* m, at::Tensor* const* v, size_t n,
                        at::Tensor* step, at::Tensor* scale, double lr, double beta1, double beta2, double eps, double decay) {
  return guarded([&] {
    if (n == 0) return;
    std::vector<at::Tensor> steps(n, *step);
    std::optional<at::Tensor> by = scale ? std::optional<at::Tensor>(*scale) : std::nullopt;
    at::_fused_adamw_(list(params, n), contiguous(grads, n), list(m, n), list(v, n), {}, steps, lr, beta1, beta2, decay, eps,
                      /*amsgrad=*/false, /*maximize=*/false, by, std::nullopt);
  });
}

// The Euclidean norm of all tensors together, as a scalar tensor on their device, written to *out (a new handle).
int lcbench_total_norm(at::Tensor* const* tensors, size_t n, at::Tensor** out) {
  return guarded([&] { *out = new at::Tensor(at::linalg_vector_norm(at::stack(at::_foreach_norm(list(tensors, n))))); });
}

// fp32 matrix products on tensor cores with 10-bit mantissas.
void lcbench_allow_tf32(bool allow) { at::globalContext().setAllowTF32CuBLAS(allow); }

// Peak bytes held by tensors, and peak bytes reserved from the driver, since the last reset.
int lcbench_peak_memory(int device, int64_t* allocated, int64_t* reserved) {
  return guarded([&] {
    auto stats = c10::getDeviceAllocator(c10::DeviceType::CUDA)->getDeviceStats(static_cast<c10::DeviceIndex>(device));
    *allocated = stats.allocated_bytes[0].peak;
    *reserved = stats.reserved_bytes[0].peak;
  });
}

int lcbench_reset_peak_memory(int device) {
  return guarded([&] { c10::getDeviceAllocator(c10::DeviceType::CUDA)->resetPeakStats(static_cast<c10::DeviceIndex>(device)); });
}

// `weights` may be null.
int lcbench_projected_cross_entropy(at::Tensor* rows, at::Tensor* table, at::Tensor* bias, at::Tensor* labels, at::Tensor* weights,
                                    at::Tensor** out) {
  return caught([&] {
    auto by = weights ? std::optional<at::Tensor>(*weights) : std::nullopt;
    *out = new at::Tensor(ProjectedCrossEntropy::apply(*rows, *table, *bias, *labels, by));
  });
}
}
