// CUDA graphs: kernels of a pass recorded once and launched as one. libtorch's own at::cuda::CUDAGraph does it, with the allocator's
// private pool and the random numbers; it lives in libtorch_cuda.so, which is loaded only where there is a GPU (src/device.rs). So its
// member functions are looked up by their names in libtorch 2.11 (the version that build.rs insists on), and neither linking nor
// compiling asks for CUDA, whose headers are not where libtorch is.

#include <c10/core/DeviceType.h>
#include <c10/core/Stream.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

#include "guard.h"

namespace {

using lcbench::caught;

// In the order of `Calls`.
const char* const kSymbols[] = {
    "_ZN2at4cuda9CUDAGraphC1Eb",
    "_ZN2at4cuda9CUDAGraphD1Ev",
    "_ZN2at4cuda9CUDAGraph13capture_beginESt4pairIyyE21cudaStreamCaptureMode",
    "_ZN2at4cuda9CUDAGraph11capture_endEv",
    "_ZN2at4cuda9CUDAGraph6replayEv",
    "_ZN2at4cuda17graph_pool_handleEv",
};
constexpr size_t kCount = sizeof(kSymbols) / sizeof(kSymbols[0]);

// c10::MempoolId_t (c10/core/Allocator.h), and CUDA's enum with the mode that torch.cuda.graph records in: whatever could disturb the
// recording fails, in any thread.
using PoolId = std::pair<unsigned long long, unsigned long long>;
enum CaptureMode : int { kGlobal = 0 };

// Member functions take `this` first (Itanium C++ ABI).
struct Calls {
  void (*construct)(void*, bool keep_graph);
  void (*destroy)(void*);
  void (*begin)(void*, PoolId, CaptureMode);
  void (*end)(void*);
  void (*replay)(void*);
  PoolId (*new_pool)();
};

const Calls& calls() {
  static const Calls found = [] {
    void* at[kCount];
    for (size_t i = 0; i < kCount; i++) {
      at[i] = dlsym(RTLD_DEFAULT, kSymbols[i]);
      if (!at[i]) throw std::runtime_error(std::string("CUDA graphs: no ") + kSymbols[i] + " in the libraries that are loaded");
    }
    return Calls{
        reinterpret_cast<decltype(Calls::construct)>(at[0]), reinterpret_cast<decltype(Calls::destroy)>(at[1]),
        reinterpret_cast<decltype(Calls::begin)>(at[2]),     reinterpret_cast<decltype(Calls::end)>(at[3]),
        reinterpret_cast<decltype(Calls::replay)>(at[4]),    reinterpret_cast<decltype(Calls::new_pool)>(at[5]),
    };
  }();
  return found;
}

c10::impl::VirtualGuardImpl cuda() { return c10::impl::VirtualGuardImpl(c10::DeviceType::CUDA); }

// Room for a CUDAGraph: by its header (ATen/cuda/CUDAGraph.h) some 120 bytes.
struct Graph {
  alignas(std::max_align_t) unsigned char place[1024] = {};
};

}  // namespace

extern "C" {

// The names that are looked up, for a test.
const char* const* lcbench_graph_symbols(size_t* count) {
  *count = kCount;
  return kSymbols;
}

// Makes a stream of its own current, as recording demands; the stream before and its device come back through `before`.
int lcbench_enter_stream(int device, int64_t* before) {
  return caught([&] {
    auto index = static_cast<c10::DeviceIndex>(device);
    auto of = cuda();
    of.synchronizeDevice(index);
    auto stream = of.getStreamFromGlobalPool(c10::Device(c10::DeviceType::CUDA, index), /*isHighPriority=*/false);
    *before = of.exchangeStream(stream).id();
  });
}

int lcbench_leave_stream(int device, int64_t before) {
  return caught([&] {
    auto index = static_cast<c10::DeviceIndex>(device);
    auto of = cuda();
    of.synchronizeDevice(index);
    of.exchangeStream(c10::Stream(c10::Stream::UNSAFE, c10::Device(c10::DeviceType::CUDA, index), before));
  });
}

// A place in the allocator that graphs can share: recorded and replayed in one order, one may read what the other left.
int lcbench_graph_pool(uint64_t* pool) {
  return caught([&] {
    auto id = calls().new_pool();
    pool[0] = id.first;
    pool[1] = id.second;
  });
}

int lcbench_graph_new(Graph** out) {
  return caught([&] {
    auto graph = new Graph;
    try {
      calls().construct(graph->place, false);
    } catch (...) {
      delete graph;
      throw;
    }
    *out = graph;
  });
}

void lcbench_graph_free(Graph* graph) {
  calls().destroy(graph->place);
  delete graph;
}

int lcbench_graph_begin(Graph* graph, const uint64_t* pool) {
  return caught([&] { calls().begin(graph->place, {pool[0], pool[1]}, kGlobal); });
}

int lcbench_graph_end(Graph* graph) {
  return caught([&] { calls().end(graph->place); });
}

int lcbench_graph_replay(Graph* graph) {
  return caught([&] { calls().replay(graph->place); });
}
}
