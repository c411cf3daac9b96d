//! Compiles the C++ shim, and makes the binaries find libtorch where they were built (LD_LIBRARY_PATH still wins).

use std::{env, fs, path::PathBuf};

const LIBTORCH: &str = "2.11.0";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=shim");
    let lib = PathBuf::from(env::var_os("DEP_TCH_LIBTORCH_LIB").expect("torch-sys says where libtorch lies"));
    let version = lib.with_file_name("version.py");
    let text = fs::read_to_string(&version).unwrap_or_default();
    if !text.contains(LIBTORCH) {
        panic!(
            "{} is not libtorch {LIBTORCH}: run scripts/deps.sh, or set LIBTORCH to a torch {LIBTORCH} folder",
            version.display()
        );
    }
    let include = lib.with_file_name("include");
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .define("_GLIBCXX_USE_CXX11_ABI", "1") // as torch-sys builds its own half
        .include(&include)
        .include(include.join("torch/csrc/api/include"))
        .warnings(false) // they would be libtorch's headers'
        .flag("-fopenmp-simd") // reductions in vector registers; no runtime
        .files(["shim/shim.cpp", "shim/block_attention.cpp", "shim/cuda_graph.cpp"])
        .compile("lcbench_shim");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.display());
}
