//! Which chip a GPU is, as far as its power sensor is concerned.
//!
//! NVML's architecture number does not tell GA100 (A100, A30) from the other Amperes, whose sensors differ; the CUDA compute
//! capability does: GA100 is 8.0 (CUDA C Programming Guide, compute capabilities).

/// A family of chips whose power sensors behave alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Chip {
    Kepler,
    Maxwell,
    Pascal,
    Volta,
    Turing,
    /// Ampere's data-centre chip.
    Ga100,
    /// All other Amperes.
    Ga10x,
    Ada,
    Hopper,
    Blackwell,
    Rubin,
    /// Newer than this program, or not told.
    Unknown,
}

impl Chip {
    /// From `nvmlDeviceGetArchitecture` (nvml.h, `NVML_DEVICE_ARCH_*`) and the compute capability, as far as each is known.
    pub fn from_codes(architecture: Option<u32>, capability: Option<(i32, i32)>) -> Self {
        match (architecture, capability) {
            (Some(2), _) => Self::Kepler,
            (Some(3), _) => Self::Maxwell,
            (Some(4), _) => Self::Pascal,
            (Some(5), _) => Self::Volta,
            (Some(6), _) => Self::Turing,
            (Some(7), Some((8, 0))) => Self::Ga100,
            (Some(7), _) => Self::Ga10x,
            (Some(8), _) => Self::Ada,
            (Some(9), _) => Self::Hopper,
            (Some(10), _) => Self::Blackwell,
            (Some(13), _) => Self::Rubin,
            _ => Self::Unknown,
        }
    }

    /// From the name of a board, as NVML gives it: for logs, which have nothing else. A name that fits no pattern is unknown.
    pub fn from_name(name: &str) -> Self {
        let words: Vec<String> = name
            .split(|c: char| !c.is_ascii_alphanumeric())
            .map(str::to_ascii_uppercase)
            .collect();
        let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
        // `RTX 6000 Ada Generation` and `RTX PRO 6000 Blackwell` say it themselves, where the number alone would mislead.
        if has(&["BLACKWELL"]) {
            return Self::Blackwell;
        }
        if has(&["ADA"]) {
            return Self::Ada;
        }
        let datacentre: [(Self, &[&str]); 10] = [
            (Self::Rubin, &["R100", "VR200"]),
            (Self::Blackwell, &["B100", "B200", "B300", "GB200", "GB300", "GB10"]),
            (Self::Hopper, &["H100", "H200", "H800", "H20", "GH200"]),
            (Self::Ada, &["L4", "L40", "L40S", "L20", "L2"]),
            (Self::Ga100, &["A100", "A100X", "A800", "A30", "A30X"]),
            (Self::Ga10x, &["A40", "A10", "A10G", "A16", "A2"]),
            (Self::Turing, &["T4", "T4G", "T10"]),
            (Self::Volta, &["V100", "V100S", "GV100"]),
            (Self::Pascal, &["P100", "P40", "P4", "GP100"]),
            (Self::Maxwell, &["M40", "M60", "M6", "M10"]),
        ];
        if let Some((chip, _)) = datacentre.iter().find(|(_, boards)| has(boards)) {
            return *chip;
        }
        if has(&["K80", "K40", "K40M", "K20", "K20X", "K20XM"]) {
            return Self::Kepler;
        }
        Self::from_series(&words)
    }

    /// GeForce, Quadro and RTX boards: the series is in the number.
    fn from_series(words: &[String]) -> Self {
        let has = |word: &str| words.iter().any(|w| w == word);
        let digits = |word: &String| word.trim_end_matches(|c: char| !c.is_ascii_digit()).parse::<u32>().ok();
        let number = words.iter().filter_map(digits).find(|n| *n >= 100);
        // RTX A2000 to A6000: the professional Amperes.
        let professional = words.iter().any(|w| {
            w.strip_prefix('A')
                .is_some_and(|n| n.len() == 4 && n.bytes().all(|b| b.is_ascii_digit()))
        });
        match number {
            _ if has("RTX") && professional => Self::Ga10x,
            Some(5000 | 6000 | 8000 | 4000 | 3000) if has("QUADRO") && has("RTX") => Self::Turing,
            Some(5050..=5099) if has("RTX") => Self::Blackwell,
            Some(4050..=4099) if has("RTX") => Self::Ada,
            Some(3050..=3099) if has("RTX") => Self::Ga10x,
            Some(2060..=2089) if has("RTX") => Self::Turing,
            Some(1630..=1669) if has("GTX") => Self::Turing,
            Some(1010..=1089) if has("GTX") || has("GT") => Self::Pascal,
            Some(900..=999) if has("GTX") => Self::Maxwell,
            Some(600..=799) if has("GTX") => Self::Kepler,
            _ if has("TITAN") && has("V") => Self::Volta,
            _ if has("TITAN") && has("RTX") => Self::Turing,
            _ => Self::Unknown,
        }
    }

    /// The architecture's name, as NVML's header spells it; none for an unknown one.
    pub const fn architecture(self) -> Option<&'static str> {
        match self {
            Self::Kepler => Some("Kepler"),
            Self::Maxwell => Some("Maxwell"),
            Self::Pascal => Some("Pascal"),
            Self::Volta => Some("Volta"),
            Self::Turing => Some("Turing"),
            Self::Ga100 | Self::Ga10x => Some("Ampere"),
            Self::Ada => Some("Ada"),
            Self::Hopper => Some("Hopper"),
            Self::Blackwell => Some("Blackwell"),
            Self::Rubin => Some("Rubin"),
            Self::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a100_and_a40_are_one_architecture_and_two_chips() {
        let a100 = Chip::from_codes(Some(7), Some((8, 0)));
        let a40 = Chip::from_codes(Some(7), Some((8, 6)));
        assert_eq!((a100, a40), (Chip::Ga100, Chip::Ga10x));
        assert_eq!(a100.architecture(), a40.architecture());
    }

    #[test]
    fn names_of_boards_tell_the_chip() {
        let cases = [
            ("NVIDIA A100-PCIE-40GB", Chip::Ga100),
            ("NVIDIA A40", Chip::Ga10x),
            ("NVIDIA RTX A6000", Chip::Ga10x),
            ("NVIDIA GeForce RTX 3090", Chip::Ga10x),
            ("NVIDIA GeForce RTX 4090", Chip::Ada),
            ("NVIDIA RTX 6000 Ada Generation", Chip::Ada),
            ("NVIDIA L40S", Chip::Ada),
            ("NVIDIA H100 80GB HBM3", Chip::Hopper),
            ("NVIDIA GH200 480GB", Chip::Hopper),
            ("NVIDIA B200", Chip::Blackwell),
            ("NVIDIA GeForce RTX 5090", Chip::Blackwell),
            ("NVIDIA RTX PRO 6000 Blackwell Server Edition", Chip::Blackwell),
            ("Tesla V100-SXM2-32GB", Chip::Volta),
            ("Tesla P100-PCIE-16GB", Chip::Pascal),
            ("NVIDIA GeForce GTX 1080 Ti", Chip::Pascal),
            ("Quadro RTX 8000", Chip::Turing),
            ("NVIDIA GeForce GTX 1650", Chip::Turing),
            ("NVIDIA GeForce RTX 2060 SUPER", Chip::Turing),
            ("Tesla T4", Chip::Turing),
            ("Tesla M40 24GB", Chip::Maxwell),
            ("Tesla K80", Chip::Kepler),
            ("AMD Instinct MI210", Chip::Unknown),
            ("imported gpu", Chip::Unknown),
        ];
        for (name, chip) in cases {
            assert_eq!(Chip::from_name(name), chip, "{name}");
        }
    }

    #[test]
    fn an_architecture_from_the_future_is_unknown_and_not_the_last_known() {
        assert_eq!(Chip::from_codes(Some(42), Some((15, 0))), Chip::Unknown);
        assert_eq!(Chip::from_codes(None, None).architecture(), None);
    }
}
