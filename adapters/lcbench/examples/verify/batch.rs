//! A batch from a file.

use std::{collections::HashMap, path::Path};

use anyhow::Context;
use lcbench::models::{
    family::Config,
    input::{Globals, Source, Target},
};
use tch::{Device, Kind, Tensor};

pub struct Batch {
    pub source: Source,
    pub target: Target,
    /// (B·T), with -100.
    pub labels: Vec<i64>,
}

impl Batch {
    pub fn read(path: &Path, config: &Config) -> anyhow::Result<Self> {
        let tensors: HashMap<String, Tensor> = Tensor::read_safetensors(path)?.into_iter().collect();
        let rows_of = |name: &str| {
            let tensor = tensors
                .get(name)
                .with_context(|| format!("{}: no {name}", path.display()))?;
            let width = tensor.size2()?.1 as usize;
            let flat = Vec::<i64>::try_from(tensor.to_kind(Kind::Int64).view([-1]))?;
            anyhow::Ok(flat.chunks(width).map(<[i64]>::to_vec).collect::<Vec<_>>())
        };
        let lengths: Vec<usize> = rows_of("attention_mask")?
            .iter()
            .map(|row| row.iter().sum::<i64>() as usize)
            .collect();
        let globals = if tensors.contains_key("global_attention_mask") {
            globals(&rows_of("global_attention_mask")?)
        } else {
            Globals::None
        };
        let labels = rows_of("labels")?.concat();
        Ok(Self {
            source: Source::new(&rows_of("input_ids")?.concat(), &lengths, globals, Device::Cpu),
            target: Target::new(
                &labels,
                lengths.len(),
                config.decoder_start(),
                config.pad(),
                Device::Cpu,
            ),
            labels,
        })
    }
}

fn globals(mask: &[Vec<i64>]) -> Globals {
    let at = |row: &Vec<i64>| (0..row.len()).filter(|i| row[*i] == 1).collect::<Vec<_>>();
    let rows: Vec<Vec<usize>> = mask.iter().map(at).collect();
    if rows.iter().all(Vec::is_empty) {
        Globals::None
    } else if rows.iter().all(|row| row == &[0]) {
        Globals::First
    } else {
        Globals::Rows(rows)
    }
}
