//! What a run ran in, as far as it changes what the run does: the machine, the variables, the commit.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::model::recording::HostInfo;

/// Beginnings of the variables worth keeping.
const PREFIXES: [&str; 24] = [
    "CUDA_",
    "NVIDIA_",
    "NCCL_",
    "TORCH_",
    "PYTORCH_",
    "TORCHELASTIC_",
    "SLURM_",
    "PBS_",
    "LSB_",
    "OMP_",
    "MKL_",
    "OPENBLAS_",
    "KMP_",
    "GOMP_",
    "HIP_",
    "ROCR_",
    "HSA_",
    "XLA_",
    "TF_",
    "JAX_",
    "HF_",
    "ACCELERATE_",
    "DS_",
    "OMPI_COMM_WORLD_",
];
/// And whole names.
const NAMES: [&str; 9] = [
    "RANK",
    "LOCAL_RANK",
    "WORLD_SIZE",
    "LOCAL_WORLD_SIZE",
    "MASTER_ADDR",
    "MASTER_PORT",
    "LD_PRELOAD",
    "VIRTUAL_ENV",
    "CONDA_DEFAULT_ENV",
];
/// Words that no kept name may hold: a recording is shown to others.
const SECRET: [&str; 5] = ["TOKEN", "SECRET", "PASSWORD", "KEY", "CREDENTIAL"];

/// The variables that matter, without anything that looks like a secret.
pub fn environment(variables: impl Iterator<Item = (String, String)>) -> BTreeMap<String, String> {
    let matters = |name: &str| PREFIXES.iter().any(|p| name.starts_with(p)) || NAMES.contains(&name);
    let secret = |name: &str| SECRET.iter().any(|word| name.to_ascii_uppercase().contains(word));
    variables.filter(|(name, _)| matters(name) && !secret(name)).collect()
}

/// The environment as text; a variable that is not UTF-8 cannot be one of those kept.
pub fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// The machine.
pub fn host() -> HostInfo {
    let uname = nix::sys::utsname::uname().ok();
    let field = |text: Option<&std::ffi::OsStr>| text.map(|t| t.to_string_lossy().into_owned()).unwrap_or_default();
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    HostInfo {
        hostname: field(uname.as_ref().map(|u| u.nodename())),
        os: os_name(&fs::read_to_string("/etc/os-release").unwrap_or_default()),
        kernel: field(uname.as_ref().map(|u| u.release())),
        cpu_model: value_of(&cpuinfo, "model name", ':').unwrap_or_default(),
        logical_cpus: std::thread::available_parallelism()
            .ok()
            .and_then(|n| u32::try_from(n.get()).ok()),
        memory_bytes: memory_total(&fs::read_to_string("/proc/meminfo").unwrap_or_default()),
    }
}

fn os_name(os_release: &str) -> String {
    value_of(os_release, "PRETTY_NAME", '=')
        .map(|name| name.trim_matches('"').to_owned())
        .unwrap_or_default()
}

fn memory_total(meminfo: &str) -> Option<u64> {
    let kib: u64 = value_of(meminfo, "MemTotal", ':')?
        .strip_suffix("kB")?
        .trim()
        .parse()
        .ok()?;
    Some(kib * 1024)
}

fn value_of(text: &str, key: &str, separator: char) -> Option<String> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(separator)?;
        (name.trim() == key).then(|| value.trim().to_owned())
    })
}

/// The commit of the repository around the working directory, `-dirty` behind it where tracked files differ.
///
/// `git` may be slow on a large tree; after `patience` the run starts without it.
pub fn git_commit(patience: Duration) -> Option<String> {
    let mut git = Command::new("git")
        .args(["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let give_up = Instant::now() + patience;
    while git.try_wait().ok()?.is_none() {
        if Instant::now() > give_up {
            let _ = git.kill();
            let _ = git.wait();
            return None;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let output = git.wait_with_output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_stay_out_of_a_recording() {
        let all = [
            ("CUDA_VISIBLE_DEVICES", "0"),
            ("HF_TOKEN", "x"),
            ("SLURM_JOB_ID", "7"),
            ("HOME", "/root"),
            ("RANK", "1"),
        ];
        let kept = environment(all.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())));
        assert_eq!(
            kept.keys().map(String::as_str).collect::<Vec<_>>(),
            ["CUDA_VISIBLE_DEVICES", "RANK", "SLURM_JOB_ID"]
        );
    }

    #[test]
    fn the_machine_is_read_from_the_kernels_own_texts() {
        assert_eq!(
            os_name("NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n"),
            "Debian GNU/Linux 12"
        );
        assert_eq!(
            memory_total("MemTotal:       24576 kB\nMemFree: 1 kB\n"),
            Some(24576 * 1024)
        );
        assert_eq!(memory_total("nothing"), None);
    }
}
