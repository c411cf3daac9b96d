// BigBird's block-sparse attention on a CPU, as one autograd function: each block of queries against the key blocks of its list, in
// place, where the composition of library calls gathers a copy of every key and value block for each query block that sees it
// (eight times all keys and values), keeps the copies for the backward pass, and adds their gradients up one block at a time.
// Kept for the backward pass: the projections, the output and one number per query (log-sum-exp), as flash attention does
// (Dao et al. 2022, arXiv:2205.14135); probabilities are computed again.
//
// Heads are independent, also in their gradients: a thread takes one (document, head) at a time, copies its rows of the fused
// projection (B, S, 3, H, D) side by side, and writes back its share.

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>
#include <limits>
#include <vector>

#include "guard.h"

// Of the BLAS that libtorch brings along. Column by column, as Fortran has it.
extern "C" void sgemm_(const char* ta, const char* tb, const int* m, const int* n, const int* k, const float* alpha, const float* a,
                       const int* lda, const float* b, const int* ldb, const float* beta, float* c, const int* ldc);

namespace {

// C (m, n) = alpha op(A) op(B) + beta C, row by row, each with the distance of its rows.
void product(bool ta, bool tb, int m, int n, int k, float alpha, const float* a, int lda, const float* b, int ldb, float beta, float* c,
             int ldc) {
  sgemm_(tb ? "T" : "N", ta ? "T" : "N", &n, &m, &k, &alpha, b, &ldb, a, &lda, &beta, c, &ldc);
}

// Which key blocks each query block of each head sees: those of (h, i) are at[from[h * blocks + i] .. from[h * blocks + i + 1]].
struct Seen {
  const int64_t* from;
  const int64_t* at;
};

// Key blocks that follow one another are one product.
template <class F>
void runs(const int64_t* begin, const int64_t* end, F body) {
  for (auto run = begin; run != end;) {
    auto next = run + 1;
    while (next != end && *next == next[-1] + 1) next++;
    body(run - begin, *run, next - run);  // blocks before it in the list, its first block, how many
    run = next;
  }
}

struct Shape {
  int64_t rows, positions, heads, width, block, blocks;

  Shape(const at::Tensor& qkv, int64_t block)
      : rows(qkv.size(0)), positions(qkv.size(1)), heads(qkv.size(3)), width(qkv.size(4)), block(block), blocks(positions / block) {}

  int64_t head() const { return positions * width; }

  // One head of one document out of (B, S, parts, H, D), side by side.
  void read(const float* from, int64_t parts, int64_t part, int64_t b, int64_t h, float* to) const {
    for (int64_t s = 0; s < positions; s++)
      std::copy_n(from + (((b * positions + s) * parts + part) * heads + h) * width, width, to + s * width);
  }

  void write(const float* from, int64_t parts, int64_t part, int64_t b, int64_t h, float* to) const {
    for (int64_t s = 0; s < positions; s++)
      std::copy_n(from + s * width, width, to + (((b * positions + s) * parts + part) * heads + h) * width);
  }
};

struct Scores {
  const Shape& shape;
  const Seen seen;
  const float* padding;  // (B, S), added to the scores of each key, or null
  float first;           // added to the scores of block 0, except for the two query blocks that see everything

  // scores (block, W) of query block i of head h in document b; W = list * block.
  void fill(const float* q, const float* k, int64_t b, int64_t h, int64_t i, float* s) const {
    const auto *begin = seen.at + seen.from[h * shape.blocks + i], *end = seen.at + seen.from[h * shape.blocks + i + 1];
    const int64_t w = (end - begin) * shape.block, d = shape.width;
    const float scale = 1 / std::sqrt(static_cast<float>(d));
    const bool sees_all = i == 0 || i == shape.blocks - 1;
    runs(begin, end, [&](int64_t before, int64_t block, int64_t count) {
      product(false, true, shape.block, count * shape.block, d, scale, q + i * shape.block * d, d, k + block * shape.block * d, d, 0,
              s + before * shape.block, w);
      for (int64_t n = 0; n < count; n++) {
        const float extra = block + n == 0 && !sees_all ? first : 0;
        if (!padding && extra == 0) continue;
        for (int64_t row = 0; row < shape.block; row++) {
          float* to = s + row * w + (before + n) * shape.block;
          const float* add = padding ? padding + b * shape.positions + (block + n) * shape.block : nullptr;
          for (int64_t key = 0; key < shape.block; key++) to[key] += extra + (add ? add[key] : 0);
        }
      }
    });
  }
};

void exponential(float* s, int64_t n) { at::from_blob(s, {n}).exp_(); }

__attribute__((target_clones("avx512f", "avx2", "default"))) float largest(const float* s, int64_t n) {
  float m = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : m)
  for (int64_t i = 0; i < n; i++) m = s[i] > m ? s[i] : m;
  return m;
}

__attribute__((target_clones("avx512f", "avx2", "default"))) float sum(const float* s, int64_t n) {
  float t = 0;
#pragma omp simd reduction(+ : t)
  for (int64_t i = 0; i < n; i++) t += s[i];
  return t;
}

__attribute__((target_clones("avx512f", "avx2", "default"))) float dot(const float* a, const float* b, int64_t n) {
  float t = 0;
#pragma omp simd reduction(+ : t)
  for (int64_t i = 0; i < n; i++) t += a[i] * b[i];
  return t;
}

__attribute__((target_clones("avx512f", "avx2", "default"))) void subtract(float* s, float by, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++) s[i] -= by;
}

// d = p * (d - by) * scale
__attribute__((target_clones("avx512f", "avx2", "default"))) void softmax_backward(float* d, const float* p, float by, float scale,
                                                                                   int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++) d[i] = p[i] * (d[i] - by) * scale;
}

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

struct BlockAttention : torch::autograd::Function<BlockAttention> {
  // qkv (B, S, 3, H, D) to (B, S, H, D).
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& qkv, const at::Tensor& from, const at::Tensor& at,
                            const std::optional<at::Tensor>& padding, int64_t block, double first) {
    const auto in = qkv.contiguous();
    const Shape shape(in, block);
    auto out = at::empty({shape.rows, shape.positions, shape.heads, shape.width}, in.options());
    auto lse = at::empty({shape.rows, shape.heads, shape.positions}, in.options());
    const Scores scores{shape, {from.const_data_ptr<int64_t>(), at.const_data_ptr<int64_t>()},
                        padding ? padding->const_data_ptr<float>() : nullptr, static_cast<float>(first)};
    const int64_t d = shape.width, head = shape.head();
    const float* source = in.const_data_ptr<float>();
    float *to = out.mutable_data_ptr<float>(), *log_sums = lse.mutable_data_ptr<float>();
    at::parallel_for(0, shape.rows * shape.heads, 1, [&](int64_t start, int64_t stop) {
      const c10::InferenceMode plain;
      std::vector<float> own(4 * head), s(block * shape.positions);
      float *q = own.data(), *k = q + head, *v = k + head, *o = v + head;
      for (int64_t n = start; n < stop; n++) {
        const int64_t b = n / shape.heads, h = n % shape.heads;
        for (int64_t part = 0; part < 3; part++) shape.read(source, 3, part, b, h, q + part * head);
        for (int64_t i = 0; i < shape.blocks; i++) {
          const auto *begin = scores.seen.at + scores.seen.from[h * shape.blocks + i],
                     *end = scores.seen.at + scores.seen.from[h * shape.blocks + i + 1];
          const int64_t w = (end - begin) * block;
          scores.fill(q, k, b, h, i, s.data());
          float* lses = log_sums + n * shape.positions + i * block;
          for (int64_t row = 0; row < block; row++) {
            lses[row] = largest(s.data() + row * w, w);
            subtract(s.data() + row * w, lses[row], w);
          }
          exponential(s.data(), block * w);
          runs(begin, end, [&](int64_t before, int64_t first_block, int64_t count) {
            product(false, false, block, d, count * block, 1, s.data() + before * block, w, v + first_block * block * d, d,
                    before > 0, o + i * block * d, d);
          });
          for (int64_t row = 0; row < block; row++) {
            const float total = sum(s.data() + row * w, w);
            lses[row] += std::log(total);
            for (int64_t c = 0; c < d; c++) o[(i * block + row) * d + c] /= total;
          }
        }
        shape.write(o, 1, 0, b, h, to);
      }
    });
    ctx->save_for_backward({in, out, lse, from, at, padding.value_or(at::Tensor())});
    ctx->saved_data["block"] = block;
    ctx->saved_data["first"] = first;
    return out;
  }

  static tensor_list backward(AutogradContext* ctx, const tensor_list& gradients) {
    const auto saved = ctx->get_saved_variables();
    const auto &in = saved[0], &out = saved[1], &lse = saved[2], &padding = saved[5];
    const int64_t block = ctx->saved_data["block"].toInt();
    const Shape shape(in, block);
    const auto gradient = gradients[0].contiguous();
    auto d_in = at::empty(in.sizes(), in.options());
    const Scores scores{shape, {saved[3].const_data_ptr<int64_t>(), saved[4].const_data_ptr<int64_t>()},
                        padding.defined() ? padding.const_data_ptr<float>() : nullptr,
                        static_cast<float>(ctx->saved_data["first"].toDouble())};
    const int64_t d = shape.width, head = shape.head();
    const float scale = 1 / std::sqrt(static_cast<float>(d));
    const float *source = in.const_data_ptr<float>(), *result = out.const_data_ptr<float>(), *log_sums = lse.const_data_ptr<float>(),
                *d_result = gradient.const_data_ptr<float>();
    float* to = d_in.mutable_data_ptr<float>();
    at::parallel_for(0, shape.rows * shape.heads, 1, [&](int64_t start, int64_t stop) {
      const c10::InferenceMode plain;
      std::vector<float> own(8 * head), p(block * shape.positions), ds(block * shape.positions);
      float *q = own.data(), *k = q + head, *v = k + head, *o = v + head, *d_o = o + head, *d_q = d_o + head, *d_k = d_q + head,
            *d_v = d_k + head;
      for (int64_t n = start; n < stop; n++) {
        const int64_t b = n / shape.heads, h = n % shape.heads;
        for (int64_t part = 0; part < 3; part++) shape.read(source, 3, part, b, h, q + part * head);
        shape.read(result, 1, 0, b, h, o);
        shape.read(d_result, 1, 0, b, h, d_o);
        std::fill_n(d_k, 2 * head, 0.0F);
        for (int64_t i = 0; i < shape.blocks; i++) {
          const auto *begin = scores.seen.at + scores.seen.from[h * shape.blocks + i],
                     *end = scores.seen.at + scores.seen.from[h * shape.blocks + i + 1];
          const int64_t w = (end - begin) * block, own_rows = i * block * d;
          scores.fill(q, k, b, h, i, p.data());
          const float* lses = log_sums + n * shape.positions + i * block;
          for (int64_t row = 0; row < block; row++) subtract(p.data() + row * w, lses[row], w);
          exponential(p.data(), block * w);
          runs(begin, end, [&](int64_t before, int64_t first_block, int64_t count) {
            product(false, true, block, count * block, d, 1, d_o + own_rows, d, v + first_block * block * d, d, 0,
                    ds.data() + before * block, w);
          });
          for (int64_t row = 0; row < block; row++) {
            const float along = dot(o + own_rows + row * d, d_o + own_rows + row * d, d);
            softmax_backward(ds.data() + row * w, p.data() + row * w, along, scale, w);
          }
          runs(begin, end, [&](int64_t before, int64_t first_block, int64_t count) {
            const int64_t keys = count * block, at_keys = first_block * block * d;
            const float *p_run = p.data() + before * block, *ds_run = ds.data() + before * block;
            product(true, false, keys, d, block, 1, p_run, w, d_o + own_rows, d, 1, d_v + at_keys, d);
            product(true, false, keys, d, block, 1, ds_run, w, q + own_rows, d, 1, d_k + at_keys, d);
            product(false, false, block, d, keys, 1, ds_run, w, k + at_keys, d, before > 0, d_q + own_rows, d);
          });
        }
        for (int64_t part = 0; part < 3; part++) shape.write(d_q + part * head, 3, part, b, h, to);
      }
    });
    return {d_in, at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

// qkv (B, S, 3, H, D), fp32 on the CPU, S whole blocks; `from` (H·N + 1) and `at` int64 on the CPU; padding (B, S) or null.
// The result (B, S, H, D) goes to *result, a new handle.
extern "C" int lcbench_block_attention(at::Tensor* qkv, at::Tensor* from, at::Tensor* at, at::Tensor* padding, int64_t block,
                                       double first, at::Tensor** result) {
  return lcbench::caught([&] {
    const auto extra = padding ? std::optional<at::Tensor>(padding->contiguous()) : std::nullopt;
    *result = new at::Tensor(BlockAttention::apply(*qkv, *from, *at, extra, block, first));
  });
}
