// Stands in for the part of libtorch_cuda.so that shim/cuda_graph.cpp calls, and writes down how it is called. Compiled from C++, so
// that the names are the compiler's and not ours.

#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

enum cudaStreamCaptureMode { cudaStreamCaptureModeGlobal, cudaStreamCaptureModeThreadLocal, cudaStreamCaptureModeRelaxed };

static std::string calls;
static bool refuses = false;

extern "C" const char* fake_calls() { return calls.c_str(); }
extern "C" void fake_refuses(bool yes) { refuses = yes; }

namespace at::cuda {

using MempoolId_t = std::pair<unsigned long long, unsigned long long>;

struct CUDAGraph {
  CUDAGraph(bool keep_graph);
  ~CUDAGraph();
  void capture_begin(MempoolId_t pool, cudaStreamCaptureMode mode);
  void capture_end();
  void replay();
  unsigned char as_large_as_torchs[104];
};

CUDAGraph::CUDAGraph(bool keep_graph) {
  std::memset(as_large_as_torchs, 0xab, sizeof(as_large_as_torchs));
  calls += keep_graph ? "new(kept) " : "new ";
}
CUDAGraph::~CUDAGraph() { calls += "free "; }
void CUDAGraph::capture_begin(MempoolId_t pool, cudaStreamCaptureMode mode) {
  calls += "begin(" + std::to_string(pool.first) + "," + std::to_string(pool.second) + "," + std::to_string(mode) + ") ";
}
void CUDAGraph::capture_end() {
  calls += "end ";
  if (refuses) throw std::runtime_error("operation failed due to a previous error during capture");
}
void CUDAGraph::replay() { calls += "replay "; }
MempoolId_t graph_pool_handle() { return {0, 7}; }

}  // namespace at::cuda
