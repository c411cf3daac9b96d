//! A run in the figures of the study this project comes from: Ang, Dhingra and Wills 2022, "Characterizing the Efficiency vs.
//! Accuracy Trade-off for Long-Context NLP Models".

/// The study's figures of one run, each beside this recording's own.
#[derive(Debug, Clone, PartialEq)]
pub struct Study {
    /// The one GPU the study looked at: the first of the run. `None`: the run has no GPU.
    pub device: Option<String>,
    /// How many means of [`Self::ROW_S`] seconds it took of it.
    pub rows: usize,
    pub figures: Vec<StudyFigure>,
}

impl Study {
    /// Seconds that one of the study's means covers: 15 samples, 2 s apart.
    pub const ROW_S: f64 = 30.0;
}

/// One figure, by the study's formula and exactly.
#[derive(Debug, Clone, PartialEq)]
pub struct StudyFigure {
    /// Key in the JSON report.
    pub name: &'static str,
    pub unit: &'static str,
    pub study: Option<f64>,
    pub exact: Option<f64>,
    /// How both come about, and so where they differ.
    pub method: String,
}

impl StudyFigure {
    /// By how much the study's figure is off, relative to the exact one.
    pub fn difference(&self) -> Option<f64> {
        let (study, exact) = (self.study?, self.exact?);
        let difference = study / exact - 1.0;
        difference.is_finite().then_some(difference)
    }
}
