// No C++ exception leaves the shim: a call returns 0, or -1 with the reason kept for lcbench_shim_error().
#pragma once

#include <exception>
#include <string>

namespace lcbench {

inline thread_local std::string error;

template <class F>
int caught(F body) {
  try {
    body();
    return 0;
  } catch (const std::exception& e) {
    error = e.what();
  } catch (...) {
    error = "unknown C++ exception";
  }
  return -1;
}

}  // namespace lcbench
