//! The command line, checked, with defaults that depend on other flags filled in. Nothing is read or loaded here.

use crate::{
    cli::{Cli, Model},
    data::builtin,
    generate::Limits,
    metrics::Scoring,
    models::{bigbird::config::BigBirdConfig, config::LedConfig, family::Config, input},
    optim::AdamWConfig,
    tokenizer::{Frame, Tokenizer},
};

/// The caller's mistake: exit status 2.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    #[error("--{flag} {value}: {problem}\nhint: {hint}")]
    Flag {
        flag: &'static str,
        value: String,
        problem: String,
        hint: String,
    },
}

fn refuse(flag: &'static str, value: impl ToString, problem: &str, hint: &str) -> UsageError {
    UsageError::Flag {
        flag,
        value: value.to_string(),
        problem: problem.to_owned(),
        hint: hint.to_owned(),
    }
}

#[derive(Debug)]
pub struct Plan {
    pub cli: Cli,
    pub target_len: usize,
    pub scoring: Scoring,
    /// Of generated texts.
    pub limits: Limits,
    pub lr: f64,
    pub adamw: AdamWConfig,
}

impl Plan {
    pub fn new(cli: Cli) -> Result<Self, UsageError> {
        positive("batch-size", cli.batch_size)?;
        positive("infer-batch-size", cli.infer_batch_size)?;
        positive("log-every", cli.log_every as usize)?;
        if let Some(threads) = cli.threads {
            positive("threads", threads.max(0) as usize)?;
        }
        let target_len = cli.target_len.unwrap_or(if cli.data.is_some() { 128 } else { 16 });
        at_least("seq-len", cli.seq_len, Frame::SMALLEST + 1)?;
        at_least("target-len", target_len, Frame::SMALLEST)?;
        let longest = if cli.data.is_some() { 1024 } else { 16 }; // 1024: SCROLLS' own baselines
        let generate_len = cli.generate_len.or(cli.target_len).unwrap_or(longest);
        at_least("generate-len", generate_len, Frame::SMALLEST)?;
        let limits = Limits {
            max_length: generate_len as i64,
            min_length: cli.min_length as i64,
            no_repeat_ngram_size: cli.no_repeat_ngram_size as i64,
        };
        let special = Frame::SMALLEST;
        if cli.data.is_none() && cli.seq_len < builtin::MIN_LENGTH + special {
            let hint = format!(
                "at least {}, or bring shorter documents with --data",
                builtin::MIN_LENGTH + special
            );
            return Err(refuse("seq-len", cli.seq_len, "the built-in task does not fit", &hint));
        }
        let lr = cli.lr.unwrap_or(if cli.weights.is_some() { 2e-5 } else { 2e-3 });
        within("lr", lr, 0.0, 1.0)?;
        within("warmup-ratio", cli.warmup_ratio, 0.0, 1.0)?;
        within("weight-decay", cli.weight_decay, 0.0, 1.0)?;
        within("beta1", cli.beta1, 0.0, 1.0 - f64::EPSILON)?;
        within("beta2", cli.beta2, 0.0, 1.0 - f64::EPSILON)?;
        within("adam-eps", cli.adam_eps, f64::MIN_POSITIVE, 1.0)?;
        within("max-grad-norm", cli.max_grad_norm, f64::MIN_POSITIVE, f64::MAX)?;
        if let Some(p) = cli.dropout {
            within("dropout", p, 0.0, 1.0 - f64::EPSILON)?;
        }
        let adamw = AdamWConfig {
            variant: cli.adamw,
            betas: (cli.beta1, cli.beta2),
            eps: cli.adam_eps,
            weight_decay: cli.weight_decay,
            max_norm: cli.max_grad_norm,
        };
        Ok(Self {
            target_len,
            scoring: cli.score.into(),
            limits,
            lr,
            adamw,
            cli,
        })
    }

    /// The preset's configuration; only the tiny ones take their vocabulary from the tokenizer.
    pub fn preset(&self, tokenizer: &Tokenizer) -> Config {
        match self.cli.model {
            Model::LedTiny => Config::Led(LedConfig {
                dropout: 0.0,
                ..LedConfig::tiny(tokenizer.vocab_size() as i64)
            }),
            Model::LedBase => Config::Led(LedConfig::base()),
            Model::LedLarge => Config::Led(LedConfig::large()),
            Model::BigBirdTiny => Config::BigBird(BigBirdConfig {
                dropout: 0.0,
                ..BigBirdConfig::tiny(tokenizer.vocab_size() as i64)
            }),
            Model::BigBirdLarge => Config::BigBird(BigBirdConfig::large()),
        }
    }

    /// What must hold between flags and configuration.
    pub fn check(&self, config: &Config, tokenizer: &Tokenizer) -> Result<(), UsageError> {
        let limit = |flag, wanted: usize, most: i64| {
            let problem = format!("the model has {most} positions");
            let hint = format!("at most {most}");
            if wanted as i64 > most {
                Err(refuse(flag, wanted, &problem, &hint))
            } else {
                Ok(())
            }
        };
        let (source, target) = config.positions();
        limit("seq-len", self.cli.seq_len, source)?;
        limit("target-len", self.target_len, target)?;
        limit("generate-len", self.limits.max_length as usize, target)?;
        if let Config::BigBird(config) = config {
            let length = self.cli.seq_len;
            config.check_length(length as i64).map_err(|error| {
                let hint = "another length, or weights with a smaller block_size";
                refuse("seq-len", length, &error.to_string(), hint)
            })?;
        }
        let (have, room) = (tokenizer.vocab_size() as i64, config.vocab_size());
        let folder = self.cli.tokenizer.as_ref().or(self.cli.weights.as_ref());
        let folder = folder.map_or_else(|| "(one token per byte)".to_owned(), |dir| dir.display().to_string());
        if have > room {
            let problem = format!("{have} tokens, but the model's table has {room} rows");
            return Err(refuse(
                "tokenizer",
                folder,
                &problem,
                "take the vocabulary that belongs to the weights",
            ));
        }
        let theirs = [config.pad(), config.eos(), config.decoder_start()];
        let ours = [tokenizer.pad(), tokenizer.eos(), tokenizer.decoder_start()];
        if ours != theirs {
            let problem = format!("pad, eos and decoder start are {ours:?}, in config.json {theirs:?}");
            return Err(refuse(
                "tokenizer",
                folder,
                &problem,
                "take the vocabulary that belongs to the weights",
            ));
        }
        Ok(())
    }

    pub fn globals(&self) -> input::Globals {
        input::Globals::First
    }
}

fn positive(flag: &'static str, value: usize) -> Result<(), UsageError> {
    at_least(flag, value, 1)
}

fn at_least(flag: &'static str, value: usize, least: usize) -> Result<(), UsageError> {
    let hint = format!("at least {least}");
    if value < least {
        Err(refuse(flag, value, "too small", &hint))
    } else {
        Ok(())
    }
}

fn within(flag: &'static str, value: f64, low: f64, high: f64) -> Result<(), UsageError> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(refuse(
        flag,
        value,
        "out of range",
        &format!("between {low} and {high}"),
    ))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn plan(args: &[&str]) -> Result<Plan, UsageError> {
        Plan::new(Cli::try_parse_from(std::iter::once(&"lcbench-train").chain(args)).unwrap())
    }

    #[test]
    fn bad_values_name_their_flag_and_the_fix() {
        for (args, flag) in [
            (["--batch-size", "0"], "--batch-size 0"),
            (["--seq-len", "100"], "--seq-len 100"),
            (["--lr", "3"], "--lr 3"),
            (["--dropout", "1"], "--dropout 1"),
            (["--beta2", "1"], "--beta2 1"),
            (["--target-len", "1"], "--target-len 1"),
        ] {
            let message = plan(&args).unwrap_err().to_string();
            assert!(message.starts_with(flag) && message.contains("hint:"), "{message}");
        }
    }

    #[test]
    fn positions_limit_the_lengths() {
        let tokenizer = Tokenizer::bytes(crate::tokenizer::Family::Led);
        let plan = plan(&["--seq-len", "20000"]).unwrap();
        let config = plan.preset(&tokenizer);
        assert!(
            plan.check(&config, &tokenizer)
                .unwrap_err()
                .to_string()
                .contains("16384")
        );
    }

    #[test]
    fn rate_and_target_depend_on_what_is_given() {
        assert_eq!(plan(&[]).unwrap().target_len, 16);
        assert_eq!(plan(&["--data", "d"]).unwrap().target_len, 128);
        assert_eq!(plan(&["--weights", "w"]).unwrap().lr, 2e-5);
        assert_eq!(plan(&["--weights", "w", "--lr", "1e-4"]).unwrap().lr, 1e-4);
    }
}
