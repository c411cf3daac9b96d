//! A training's state beside its tensors: what is reported of it, and what an interrupted one goes on from.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    stream::Place,
    watch::{Validation, Watch},
};
use crate::{metrics::Scoring, phases::Work};

/// Names the layout of a saved state; another one is not read.
pub const SCHEMA: &str = "lcbench.training/1";

/// What training did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Training {
    pub steps: u64,
    /// Steps that were asked for.
    pub of: u64,
    /// Since the last interruption, and before it.
    pub work: Work,
    pub seconds: f64,
    /// (step, mean loss since the entry before), about every --log-every steps.
    pub losses: Vec<(u64, f64)>,
    /// Whose scores `validations` are: teacher-forced or generated.
    pub scoring: String,
    pub validations: Vec<Validation>,
    #[serde(flatten)]
    pub watch: Watch,
    pub stopped_early: bool,
    /// Whether the weights at the end are those of the best validation.
    pub best_reloaded: bool,
    /// The step at which this process went on with a saved training.
    pub resumed_at: Option<u64>,
}

impl Training {
    pub fn new(of: u64, scoring: Scoring) -> Self {
        Self {
            steps: 0,
            of,
            work: Work::default(),
            seconds: 0.0,
            losses: Vec::new(),
            scoring: scoring.name().into(),
            validations: Vec::new(),
            watch: Watch::default(),
            stopped_early: false,
            best_reloaded: false,
            resumed_at: None,
        }
    }

    pub fn is_over(&self) -> bool {
        self.stopped_early || self.steps >= self.of
    }
}

/// training.json of a saved training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    pub schema: String,
    pub training: Training,
    pub place: Place,
    /// Sum and number of the losses that the next entry of `losses` is the mean of.
    pub pending: (f64, u32),
    /// What must be as it was for the training to be the same one.
    pub settings: Map<String, Value>,
}

impl State {
    /// The first setting that is not as it was: its name, what it is, what it was.
    pub fn differs<'a>(&'a self, now: &'a Map<String, Value>) -> Option<(&'a str, &'a Value, &'a Value)> {
        let names = now.keys().chain(self.settings.keys());
        names.into_iter().find_map(|name| {
            let (is, was) = (
                now.get(name).unwrap_or(&Value::Null),
                self.settings.get(name).unwrap_or(&Value::Null),
            );
            (is != was).then_some((name.as_str(), is, was))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_reads_as_it_was_written_to_the_last_bit() {
        let mut training = Training::new(9, Scoring::TeacherForced);
        training.losses = vec![(1, 0.1 + 0.2), (2, f64::from(1.1_f32)), (3, 1e-300)];
        training.watch.see(crate::cli::BestBy::F1, 2, Some(1.0 / 3.0));
        let state = State {
            schema: SCHEMA.into(),
            training,
            place: Place { epoch: 1, batches: 2 },
            pending: (f64::from(4.7_f32), 3),
            settings: serde_json::from_str(r#"{"lr": 2e-5, "seed": 42}"#).unwrap(),
        };
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<State>(&text).unwrap(), state);
    }

    #[test]
    fn the_setting_that_differs_is_named() {
        let state = |settings: &str| State {
            schema: SCHEMA.into(),
            training: Training::new(1, Scoring::TeacherForced),
            place: Place::default(),
            pending: (0.0, 0),
            settings: serde_json::from_str(settings).unwrap(),
        };
        let was = state(r#"{"lr": 2e-5, "seed": 42}"#);
        assert_eq!(was.differs(&was.settings), None);
        let now = state(r#"{"lr": 2e-5, "seed": 43}"#).settings;
        assert_eq!(was.differs(&now), Some(("seed", &43.into(), &42.into())));
        let now = state(r#"{"lr": 2e-5}"#).settings;
        assert_eq!(was.differs(&now), Some(("seed", &Value::Null, &42.into())));
    }
}
