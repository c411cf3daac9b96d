//! Checks that all configurations need. Each names the file, the field and what to do.

use std::{fs, path::Path};

use serde::de::DeserializeOwned;

use super::ConfigError;

/// Reads `dir/config.json`; also returns its name, for further messages.
pub fn read<T: DeserializeOwned>(dir: &Path, family: &'static str) -> Result<(T, String), ConfigError> {
    let path = dir.join("config.json");
    let shown = path.display().to_string();
    let text = fs::read_to_string(&path).map_err(|source| ConfigError::Read {
        path: shown.clone(),
        source,
    })?;
    let config = serde_json::from_str(&text).map_err(|source| ConfigError::Parse {
        path: shown.clone(),
        family,
        source,
    })?;
    Ok((config, shown))
}

const REPAIR: &str = "repair the file";

/// `origin` says where the values came from.
#[derive(Debug, Clone, Copy)]
pub struct Check<'a> {
    pub origin: &'a str,
}

impl Check<'_> {
    pub fn fail<T>(self, field: &'static str, problem: String, hint: &'static str) -> Result<T, ConfigError> {
        Err(ConfigError::Invalid {
            origin: self.origin.to_owned(),
            field,
            problem,
            hint,
        })
    }

    pub fn model_type(self, found: &str, wanted: &str) -> Result<(), ConfigError> {
        if found == wanted {
            return Ok(());
        }
        let problem = format!("is {found:?}, not {wanted:?}");
        self.fail("model_type", problem, "choose the --model that these weights belong to")
    }

    pub fn activation(self, name: &str) -> Result<(), ConfigError> {
        if crate::models::layers::Activation::from_name(name).is_some() {
            return Ok(());
        }
        let problem = format!("{name:?} is not known");
        self.fail("activation_function", problem, "known are gelu, gelu_new and relu")
    }

    pub fn positive(self, sizes: &[(&'static str, i64)]) -> Result<(), ConfigError> {
        match sizes.iter().find(|(_, size)| *size < 1) {
            Some((field, size)) => self.fail(field, format!("{size} is not positive"), REPAIR),
            None => Ok(()),
        }
    }

    pub fn heads_divide(self, width: i64, heads: &[(&'static str, i64)]) -> Result<(), ConfigError> {
        match heads.iter().find(|(_, heads)| width % heads != 0) {
            Some((field, heads)) => self.fail(field, format!("d_model {width} is no multiple of {heads}"), REPAIR),
            None => Ok(()),
        }
    }

    pub fn probabilities(self, values: &[(&'static str, f64)]) -> Result<(), ConfigError> {
        match values.iter().find(|(_, p)| !(0.0..1.0).contains(p)) {
            Some((field, p)) => self.fail(field, format!("{p} is no probability below 1"), REPAIR),
            None => Ok(()),
        }
    }

    pub fn no_layerdrop(self, encoder: f64, decoder: f64) -> Result<(), ConfigError> {
        if encoder > 0.0 || decoder > 0.0 {
            let problem = "dropping whole layers is not supported".to_owned();
            return self.fail("layerdrop", problem, "set it to 0");
        }
        Ok(())
    }

    pub fn tokens(self, vocabulary: i64, ids: &[(&'static str, i64)]) -> Result<(), ConfigError> {
        match ids.iter().find(|(_, id)| !(0..vocabulary).contains(id)) {
            Some((field, id)) => self.fail(field, format!("{id} is outside of the vocabulary"), REPAIR),
            None => Ok(()),
        }
    }
}
