//! What must hold between the flags and what is found when they are followed: a saved training, a device, a configuration.

use serde_json::Value;
use tch::Device;

use super::{Plan, UsageError, checks::refuse};
use crate::{models::family::Config, tokenizer::Tokenizer};

impl Plan {
    /// What `State::differs` found: a resumed training must be the one that was saved.
    pub fn check_resumed(&self, found: Option<(&str, &Value, &Value)>) -> Result<(), UsageError> {
        let (Some((name, is, was)), Some(dir)) = (found, &self.cli.resume) else {
            return Ok(());
        };
        let problem = format!("{name} is {is}, and was {was} when it was saved");
        let hint = "repeat the flags of the interrupted training, with --resume in place of --save";
        Err(refuse("resume", dir.display(), &problem, hint))
    }

    /// What must hold between flags and the device that was found.
    pub fn check_device(&self, device: Device) -> Result<(), UsageError> {
        if self.cli.cuda_graph && !device.is_cuda() {
            return Err(refuse(
                "device",
                &self.cli.device,
                "that is the CPU, and --cuda-graph records the work of a GPU",
                "leave --cuda-graph out, or run where there is a GPU",
            ));
        }
        Ok(())
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
        let folder = match (&self.cli.tokenizer, &self.cli.weights) {
            (Some(vocabulary), _) => vocabulary.to_string(),
            (None, Some(dir)) => dir.display().to_string(),
            (None, None) => "bytes".to_owned(),
        };
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
}
