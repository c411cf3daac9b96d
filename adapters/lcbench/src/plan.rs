//! The command line, checked, with what a recipe says and defaults that depend on other flags filled in. Nothing is read or
//! loaded here.

mod agreement;
mod checks;
mod defaults;
mod recipe;
mod resolve;

use clap::ValueEnum;

pub use self::resolve::Applied;
use self::resolve::Resolver;
use self::{
    checks::{at_least, positive, refuse, within},
    defaults::{best_by, set_of},
};
use crate::{
    cli::{BatchSize, BestBy, Cli, Model, Precision, Rand, Recipe},
    data::{Published, builtin},
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

/// Steps of a training that says nothing of its length.
const DEFAULT_STEPS: u64 = 200;

/// Of the tiny models' random weights. The published models' 0.02 suits a width of 768 or more; at 64 it would make every
/// projection shrink what passes, and a model of it takes long to notice its source at all.
const TINY_STD: f64 = 0.1;

#[derive(Debug)]
pub struct Plan {
    pub cli: Cli,
    /// Which of the study's sets the texts are, or are like.
    pub set: Option<Published>,
    pub target_len: usize,
    pub batch_size: BatchSize,
    pub accumulate: usize,
    pub infer_batch_size: usize,
    /// At least one of these is given.
    pub max_steps: Option<u64>,
    pub max_epochs: Option<f64>,
    pub eval_every: Option<u64>,
    pub patience: Option<u32>,
    pub best_by: BestBy,
    pub save_every: Option<u64>,
    pub scoring: Scoring,
    /// Of generated texts.
    pub limits: Limits,
    pub lr: f64,
    pub warmup_ratio: f64,
    pub adamw: AdamWConfig,
    pub bigbird_rand: Rand,
    pub precision: Precision,
    pub seed: u64,
    pub recipe: Option<Applied>,
}

impl Plan {
    pub fn new(cli: Cli) -> Result<Self, UsageError> {
        let set = set_of(&cli)?;
        let recipe = match cli.recipe {
            Some(Recipe::Paper) => Some(recipe::paper(cli.model, set, cli.seq_len)?),
            None => None,
        };
        let mut by = Resolver::new("paper", recipe);
        let target_default = if cli.data.is_some() || cli.shaped.is_some() {
            128
        } else {
            16
        };
        let batch_size = match cli.batch_size {
            Some(BatchSize::Auto) => {
                by.optional("batch_size", Some(0), |r| r.batch_size);
                BatchSize::Auto
            }
            Some(BatchSize::Documents(n)) => BatchSize::Documents(by.take("batch_size", Some(n), |r| r.batch_size, n)),
            None => BatchSize::Documents(by.take("batch_size", None, |r| r.batch_size, 8)),
        };
        let rate = if cli.weights.is_some() { 2e-5 } else { 2e-3 };
        // A typed number of steps is a limit; epochs are the recipe's only where nothing else ends the training.
        let max_epochs = by.optional("max_epochs", cli.max_epochs, |r| r.max_epochs);
        let max_steps = cli.max_steps.or(max_epochs.is_none().then_some(DEFAULT_STEPS));
        let eval_every = by.optional("eval_every", cli.eval_every, |r| r.eval_every);
        let longest = if cli.data.is_some() || cli.shaped.is_some() {
            1024 // as SCROLLS' own baselines
        } else {
            16
        };
        let limits = Limits {
            max_length: cli.generate_len.or(cli.target_len).unwrap_or(longest) as i64,
            min_length: cli.min_length as i64,
            no_repeat_ngram_size: cli.no_repeat_ngram_size as i64,
        };
        let plan = Self {
            set,
            scoring: cli.score.into(),
            limits,
            batch_size,
            max_steps,
            max_epochs,
            eval_every,
            target_len: by.take("target_len", cli.target_len, |r| r.target_len, target_default),
            accumulate: by.take("accumulate", cli.accumulate, |r| r.accumulate, 1),
            infer_batch_size: by.take("infer_batch_size", cli.infer_batch_size, |r| r.infer_batch_size, 16),
            patience: by.optional("patience", cli.patience, |r| r.patience),
            best_by: by.take("best_by", cli.best_by, |r| r.best_by, best_by(&cli, set)),
            save_every: cli.save_every.or(eval_every),
            lr: by.take("lr", cli.lr, |r| r.lr, rate),
            warmup_ratio: by.take("warmup_ratio", cli.warmup_ratio, |r| r.warmup_ratio, 0.1),
            adamw: AdamWConfig {
                variant: by.take("adamw", cli.adamw, |r| r.adamw, crate::optim::Variant::Torch),
                betas: (
                    by.take("beta1", cli.beta1, |r| r.beta1, 0.9),
                    by.take("beta2", cli.beta2, |r| r.beta2, 0.98),
                ),
                eps: by.take("adam_eps", cli.adam_eps, |r| r.adam_eps, 1e-6),
                weight_decay: by.take("weight_decay", cli.weight_decay, |r| r.weight_decay, 1e-3),
                max_norm: by.take("max_grad_norm", cli.max_grad_norm, |r| r.max_grad_norm, 1.0),
            },
            bigbird_rand: by.take("bigbird_rand", cli.bigbird_rand, |r| r.bigbird_rand, Rand::Fixed),
            precision: by.take("precision", cli.precision, |r| r.precision, Precision::Fp32),
            seed: by.take("seed", cli.seed, |r| r.seed, 42),
            recipe: by.applied(),
            cli,
        };
        plan.bounds()?;
        Ok(plan)
    }

    fn bounds(&self) -> Result<(), UsageError> {
        let cli = &self.cli;
        if let BatchSize::Documents(n) = self.batch_size {
            positive("batch-size", n)?;
        }
        positive("max-batch-size", cli.max_batch_size)?;
        positive("accumulate", self.accumulate)?;
        positive("infer-batch-size", self.infer_batch_size)?;
        positive("log-every", cli.log_every as usize)?;
        positive("eval-every", self.eval_every.unwrap_or(1) as usize)?;
        positive("save-every", cli.save_every.unwrap_or(1) as usize)?;
        positive("patience", self.patience.unwrap_or(1) as usize)?;
        positive("threads", cli.threads.unwrap_or(1).max(0) as usize)?;
        at_least("seq-len", cli.seq_len, Frame::SMALLEST + 1)?;
        at_least("target-len", self.target_len, Frame::SMALLEST)?;
        at_least("generate-len", self.limits.max_length as usize, Frame::SMALLEST)?;
        let shortest = builtin::MIN_LENGTH + Frame::SMALLEST;
        if cli.data.is_none() && cli.shaped.is_none() && cli.seq_len < shortest {
            let hint = format!("at least {shortest}, or bring shorter documents with --data");
            return Err(refuse("seq-len", cli.seq_len, "the built-in task does not fit", &hint));
        }
        within("max-epochs", self.max_epochs.unwrap_or(1.0), f64::MIN_POSITIVE, 1e6)?;
        within("lr", self.lr, 0.0, 1.0)?;
        within("warmup-ratio", self.warmup_ratio, 0.0, 1.0)?;
        within("weight-decay", self.adamw.weight_decay, 0.0, 1.0)?;
        within("beta1", self.adamw.betas.0, 0.0, 1.0 - f64::EPSILON)?;
        within("beta2", self.adamw.betas.1, 0.0, 1.0 - f64::EPSILON)?;
        within("adam-eps", self.adamw.eps, f64::MIN_POSITIVE, 1.0)?;
        within("max-grad-norm", self.adamw.max_norm, f64::MIN_POSITIVE, f64::MAX)?;
        within("dropout", cli.dropout.unwrap_or(0.0), 0.0, 1.0 - f64::EPSILON)?;
        if let (Some(n), None) = (self.patience, self.eval_every) {
            return Err(refuse(
                "patience",
                n,
                "nothing is validated while training",
                "give --eval-every too",
            ));
        }
        if self.scoring == Scoring::Generate
            && self.eval_every.is_some()
            && matches!(self.best_by, BestBy::Loss | BestBy::LabelTokens)
        {
            let word = self.best_by.to_possible_value();
            return Err(refuse(
                "best-by",
                word.map_or_else(String::new, |word| word.get_name().to_owned()),
                "generated text has neither a loss nor labels",
                "rouge-mean or f1, or --score teacher-forced",
            ));
        }
        if let (Some(n), None, None) = (cli.save_every, &cli.save, &cli.resume) {
            return Err(refuse(
                "save-every",
                n,
                "there is nowhere to save",
                "give --save DIR too",
            ));
        }
        Ok(())
    }

    /// Documents per forward pass; the largest tried where a search has not yet said.
    pub fn batch_size(&self) -> usize {
        match self.batch_size {
            BatchSize::Auto => self.cli.max_batch_size,
            BatchSize::Documents(n) => n,
        }
    }

    /// The preset's configuration; only the tiny ones take their vocabulary from the tokenizer.
    pub fn preset(&self, tokenizer: &Tokenizer) -> Config {
        match self.cli.model {
            Model::LedTiny => Config::Led(LedConfig {
                dropout: 0.0,
                init_std: TINY_STD,
                ..LedConfig::tiny(tokenizer.vocab_size() as i64)
            }),
            Model::LedBase => Config::Led(LedConfig::base()),
            Model::LedLarge => Config::Led(LedConfig::large()),
            Model::BigBirdTiny => Config::BigBird(BigBirdConfig {
                dropout: 0.0,
                init_std: TINY_STD,
                ..BigBirdConfig::tiny(tokenizer.vocab_size() as i64)
            }),
            Model::BigBirdLarge => Config::BigBird(BigBirdConfig::large()),
        }
    }

    pub fn globals(&self) -> input::Globals {
        input::Globals::First
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::CommandLine;

    fn plan(args: &[&str]) -> Result<Plan, UsageError> {
        let typed = CommandLine::try_parse_from(std::iter::once(&"lcbench-train").chain(args)).unwrap();
        Plan::new(typed.train)
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
            (["--accumulate", "0"], "--accumulate 0"),
            (["--max-epochs", "0"], "--max-epochs 0"),
            (["--patience", "3"], "--patience 3"),
            (["--save-every", "3"], "--save-every 3"),
            (["--dataset", "qmsum"], "--dataset qmsum"),
            (["--recipe", "paper"], "--recipe paper"),
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

    #[test]
    fn a_recipe_sets_what_is_not_typed_and_says_so() {
        let args = ["--recipe", "paper", "--model", "led-base", "--shaped", "qasper:0.1"];
        let paper = plan(&args).unwrap();
        assert_eq!(paper.batch_size, BatchSize::Documents(22));
        assert_eq!(
            (paper.accumulate, paper.eval_every, paper.patience),
            (32, Some(10), Some(3))
        );
        assert_eq!((paper.max_steps, paper.max_epochs), (None, Some(50.0)));
        assert_eq!((paper.lr, paper.precision), (2e-5, Precision::Tf32));
        let applied = paper.recipe.unwrap();
        assert_eq!(
            (applied.set["batch_size"].clone(), applied.overridden.len()),
            (22.into(), 0)
        );

        let more = ["--batch-size", "2", "--lr", "1e-4", "--max-steps", "7"];
        let mixed = plan(&[&args[..], &more].concat()).unwrap();
        assert_eq!(
            (mixed.batch_size, mixed.lr, mixed.max_steps),
            (BatchSize::Documents(2), 1e-4, Some(7))
        );
        let applied = mixed.recipe.unwrap();
        let overridden: Vec<_> = applied.overridden.keys().map(String::as_str).collect();
        assert_eq!(overridden, ["batch_size", "lr"]);
        assert!(!applied.set.contains_key("lr") && applied.set["beta2"] == 0.98);
    }

    #[test]
    fn length_is_steps_or_epochs_or_both() {
        let of = |args: &[&str]| {
            let plan = plan(args).unwrap();
            (plan.max_steps, plan.max_epochs)
        };
        assert_eq!(of(&[]), (Some(200), None));
        assert_eq!(of(&["--max-epochs", "2.5"]), (None, Some(2.5)));
        assert_eq!(of(&["--max-epochs", "2", "--max-steps", "9"]), (Some(9), Some(2.0)));
    }
}
