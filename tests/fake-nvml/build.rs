//! Owns one linker argument: the SONAME by which programs and the dynamic linker know NVIDIA's library.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libnvidia-ml.so.1");
}
