//! Recording as far as it can be tried without a GPU: who is called, with what, in which order, and what happens when it fails. In
//! place of libtorch_cuda.so stands a library that writes down how it is called. With one (`POWERPROF_TEST_GPU=1`), whether a recorded
//! training is the same training.

#[path = "../program/mod.rs"]
mod program;

use std::{
    env,
    ffi::{CStr, CString},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    process::Command,
};

use lcbench::shim::graph::{Graph, Pool};
use program::{Run, fails, succeeds};

struct Fake(*mut libc::c_void);

impl Fake {
    fn compile_and_load(dir: &Path) -> Self {
        let library = dir.join("libfake_graphs.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/graphs/fake.cpp");
        let status = Command::new("c++")
            .args(["-std=c++17", "-shared", "-fPIC", "-o"])
            .args([&library, &source])
            .status()
            .expect("a C++ compiler built this program too");
        assert!(status.success());
        let name = CString::new(library.as_os_str().as_encoded_bytes()).unwrap();
        // SAFETY: the library was made for this, and stays loaded.
        let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
        assert!(!handle.is_null());
        Self(handle)
    }

    fn calls(&self) -> String {
        // SAFETY: the function's type is that in fake.cpp, and its string lives until the next call into the library.
        unsafe {
            let calls = libc::dlsym(self.0, c"fake_calls".as_ptr());
            let calls: extern "C" fn() -> *const libc::c_char = std::mem::transmute(calls);
            CStr::from_ptr(calls()).to_string_lossy().trim().to_owned()
        }
    }

    fn refuse(&self, yes: bool) {
        // SAFETY: the function's type is that in fake.cpp.
        unsafe {
            let refuses = libc::dlsym(self.0, c"fake_refuses".as_ptr());
            let refuses: extern "C" fn(bool) = std::mem::transmute(refuses);
            refuses(yes);
        }
    }
}

#[test]
fn work_is_recorded_once_and_replayed() {
    if tch::Cuda::is_available() {
        println!("skipped: with a GPU libtorch's own graphs are there");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let fake = Fake::compile_and_load(dir.path());
    let pool = Pool::new().unwrap();
    let (graph, made) = Graph::record(pool, || {
        assert!(
            fake.calls().ends_with("begin(0,7,0)"),
            "the work is asked for while recording"
        );
        42
    })
    .unwrap();
    assert_eq!(made, 42);
    graph.replay().unwrap();
    graph.replay().unwrap();
    drop(graph);
    let usual = "new begin(0,7,0) end replay replay free";
    assert_eq!(fake.calls(), usual);

    // What panics while it is recorded (tch's form of an error) leaves no recording open and no graph behind.
    let outcome = catch_unwind(AssertUnwindSafe(|| Graph::record(pool, || panic!("not permitted"))));
    assert!(outcome.is_err());
    let cut = format!("{usual} new begin(0,7,0) end free");
    assert_eq!(fake.calls(), cut);

    // What the device says of a recording that failed is the error.
    fake.refuse(true);
    let error = Graph::record(pool, || ()).unwrap_err().to_string();
    assert!(error.contains("previous error during capture"), "{error}");
    assert_eq!(fake.calls(), format!("{cut} new begin(0,7,0) end free"));
}

#[test]
fn a_cpu_does_not_record() {
    let said = fails(&Run::new(["--device", "cpu", "--cuda-graph"]), 2);
    assert!(said.contains("--cuda-graph") && said.contains("hint:"), "{said}");
}

/// Losses step by step, one short batch an epoch and accumulation included; and what recording is for, as a ratio.
#[test]
fn a_recorded_training_is_the_same_training() {
    if env::var("POWERPROF_TEST_GPU").as_deref() != Ok("1") {
        println!("skipped: needs a GPU (POWERPROF_TEST_GPU=1)");
        return;
    }
    for model in ["led-tiny", "bigbird-tiny"] {
        for accumulate in ["1", "3"] {
            let run = Run::new([
                "--model",
                model,
                "--device",
                "cuda",
                "--dropout",
                "0",
                "--accumulate",
                accumulate,
            ]);
            let run = run.and([
                "--batch-size",
                "7",
                "--max-steps",
                "60",
                "--log-every",
                "1",
                "--seq-len",
                "1024",
            ]);
            let (plain, recorded) = (succeeds(&run), succeeds(&run.clone().and(["--cuda-graph"])));
            let losses = |summary: &serde_json::Value| -> Vec<f64> {
                let entries = summary["train"]["losses"].as_array().unwrap();
                entries.iter().map(|entry| entry[1].as_f64().unwrap()).collect()
            };
            let (one, other) = (losses(&plain), losses(&recorded));
            assert_eq!(one.len(), 60);
            // Rounding differs, and grows from step to step.
            for (step, (a, b)) in one.iter().zip(&other).enumerate().take(20) {
                assert!((a - b).abs() < 2e-3 * a, "{model}, step {step}: {a} and {b}");
            }
            let seconds = |summary: &serde_json::Value| summary["train"]["seconds"].as_f64().unwrap();
            println!(
                "{model}, {accumulate} batches a step: {:.2} times as fast, recording included",
                seconds(&plain) / seconds(&recorded)
            );
        }
    }
}
