//! The library as a script drives it: one request a line on stdin, one answer a line on stdout, both JSON; tensors in safetensors
//! files. It is how `parity/` compares lcbench with transformers, and how `benches/lcbench_vs_hf.py` times it: the same code that
//! `lcbench-train` runs, on inputs that both sides are given. `request.rs` lists what can be asked.

mod batch;
mod request;
mod session;

use std::io::{BufRead, Write, stdin, stdout};

use anyhow::Context;
use serde_json::{Value, json};

use request::Request;
use session::Session;

fn main() -> anyhow::Result<()> {
    let mut session = Session::default();
    for line in stdin().lock().lines() {
        let answer = answer(&mut session, &line?).unwrap_or_else(|error| json!({ "error": format!("{error:#}") }));
        let mut out = stdout().lock();
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

fn answer(session: &mut Session, line: &str) -> anyhow::Result<Value> {
    let request: Request = serde_json::from_str(line).context("request")?;
    session.answer(request)
}
