//! Thermal design power of processors that trainers run on, by model.
//!
//! Figures as the makers publish them: Intel at ark.intel.com ("TDP", for recent Core "Processor Base Power"), AMD at
//! amd.com/en/products/specifications ("Default TDP"); threads are two a core unless the part has none or, from Alder Lake on, its
//! efficient cores have none. Processors made for one cloud alone (`Platinum 8175M`, `EPYC 7R13`, names without a number) have no
//! published figure and are not guessed into the table: [`typical_watts_per_thread`] answers for them.

use crate::model::units::Watts;

/// One model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownCpu {
    /// The model number as a whole word of the name in `/proc/cpuinfo`.
    pub model: &'static str,
    /// What else the name must hold: tells `Gold 6148` from anything else numbered 6148.
    pub family: Family,
    /// Of one socket.
    pub tdp_w: u32,
    /// Of one socket.
    pub threads: u32,
}

/// Who makes it, for which machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    Xeon,
    Epyc,
    Core,
    Ryzen,
}

impl Family {
    const ALL: [Self; 4] = [Self::Xeon, Self::Epyc, Self::Core, Self::Ryzen];

    /// The word in the processor's name.
    const fn word(self) -> &'static str {
        match self {
            Self::Xeon => "Xeon",
            Self::Epyc => "EPYC",
            Self::Core => "Core",
            Self::Ryzen => "Ryzen",
        }
    }

    /// Whether a processor's name, in any case, is of this family.
    fn is_in(self, name: &str) -> bool {
        name.to_uppercase().contains(&self.word().to_uppercase())
    }

    const fn source(self) -> &'static str {
        match self {
            Self::Xeon | Self::Core => "ark.intel.com",
            Self::Epyc | Self::Ryzen => "amd.com, product specifications",
        }
    }

    const fn is_server(self) -> bool {
        matches!(self, Self::Xeon | Self::Epyc)
    }
}

impl KnownCpu {
    /// Where the figure is published.
    pub const fn source(&self) -> &'static str {
        self.family.source()
    }
}

/// The model that a processor's name holds. Names are compared word by word, so that `7742` is not found in `77420`.
pub fn find(name: &str) -> Option<&'static KnownCpu> {
    // Newer Xeons shout: `INTEL(R) XEON(R) PLATINUM 8592+`.
    let plain = name.to_uppercase().replace("(R)", " ").replace("(TM)", " ");
    // E5 models carry their version as the next word: `E5-2698 v4`.
    let words: Vec<&str> = plain.split_whitespace().collect();
    TABLE.iter().find(|known| {
        let model = known.model.to_uppercase();
        let model: Vec<&str> = model.split(' ').collect();
        known.family.is_in(&plain) && words.windows(model.len()).any(|window| window == model)
    })
}

/// The median over the table's models of the name's family; without a known family, over those of servers, which is what a name
/// without a number most often is.
pub fn typical_watts_per_thread(name: &str) -> Watts {
    let family = Family::ALL.into_iter().find(|family| family.is_in(name));
    let is_like = |known: &&KnownCpu| family.map_or(known.family.is_server(), |family| known.family == family);
    let mut figures: Vec<f64> = TABLE
        .iter()
        .filter(is_like)
        .map(|known| f64::from(known.tdp_w) / f64::from(known.threads))
        .collect();
    figures.sort_by(f64::total_cmp);
    Watts(figures[figures.len() / 2])
}

const fn cpu(family: Family, model: &'static str, tdp_w: u32, threads: u32) -> KnownCpu {
    KnownCpu {
        model,
        family,
        tdp_w,
        threads,
    }
}

const fn xeon(model: &'static str, tdp_w: u32, threads: u32) -> KnownCpu {
    cpu(Family::Xeon, model, tdp_w, threads)
}

const fn epyc(model: &'static str, tdp_w: u32, threads: u32) -> KnownCpu {
    cpu(Family::Epyc, model, tdp_w, threads)
}

const fn core(model: &'static str, tdp_w: u32, threads: u32) -> KnownCpu {
    cpu(Family::Core, model, tdp_w, threads)
}

const fn ryzen(model: &'static str, tdp_w: u32, threads: u32) -> KnownCpu {
    cpu(Family::Ryzen, model, tdp_w, threads)
}

/// One line a generation.
#[rustfmt::skip]
const TABLE: &[KnownCpu] = &[
    // Haswell and Broadwell
    xeon("E5-2680 v3", 120, 24), xeon("E5-2690 v3", 135, 24), xeon("E5-2650 v3", 105, 20), xeon("E5-2670 v3", 120, 24),
    xeon("E5-2620 v4", 85, 16), xeon("E5-2630 v4", 85, 20), xeon("E5-2640 v4", 90, 20), xeon("E5-2650 v4", 105, 24),
    xeon("E5-2680 v4", 120, 28), xeon("E5-2690 v4", 135, 28), xeon("E5-2695 v4", 120, 36), xeon("E5-2697 v4", 145, 36),
    xeon("E5-2698 v4", 135, 40), xeon("E5-2699 v4", 145, 44),
    // Skylake
    xeon("4110", 85, 16), xeon("4114", 85, 20), xeon("5118", 105, 24), xeon("6130", 125, 32), xeon("6132", 140, 28),
    xeon("6140", 140, 36), xeon("6142", 150, 32), xeon("6148", 150, 40), xeon("6154", 200, 36), xeon("8160", 150, 48),
    xeon("8168", 205, 48), xeon("8180", 205, 56),
    // Cascade Lake
    xeon("4210", 85, 20), xeon("4214", 85, 24), xeon("4216", 100, 32), xeon("5218", 125, 32), xeon("5220", 125, 36),
    xeon("6226", 125, 24), xeon("6226R", 150, 32), xeon("6230", 125, 40), xeon("6230R", 150, 52), xeon("6240", 150, 36),
    xeon("6240R", 165, 48), xeon("6242", 150, 32), xeon("6248", 150, 40), xeon("6248R", 205, 48), xeon("6252", 150, 48),
    xeon("6254", 200, 36), xeon("6258R", 205, 56), xeon("8260", 165, 48), xeon("8268", 205, 48), xeon("8280", 205, 56),
    // Ice Lake
    xeon("4310", 120, 24), xeon("4314", 135, 32), xeon("6326", 185, 32), xeon("6330", 205, 56), xeon("6338", 205, 64),
    xeon("6342", 230, 48), xeon("6348", 235, 56), xeon("6354", 205, 36), xeon("8352Y", 205, 64), xeon("8358", 250, 64),
    xeon("8360Y", 250, 72), xeon("8368", 270, 76), xeon("8380", 270, 80),
    // Sapphire Rapids; 8480C is the 8480+ of clouds and DGX H100, taken to be its equal
    xeon("6430", 270, 64), xeon("6442Y", 225, 48), xeon("6448Y", 225, 64), xeon("8462Y+", 300, 64), xeon("8468", 350, 96),
    xeon("8470", 350, 104), xeon("8480+", 350, 112), xeon("8480C", 350, 112), xeon("8490H", 350, 120),
    // Emerald Rapids
    xeon("6530", 270, 64), xeon("8558", 330, 96), xeon("8568Y+", 350, 96), xeon("8570", 350, 112), xeon("8580", 350, 120),
    xeon("8592+", 350, 128),
    // Granite Rapids
    xeon("6960P", 500, 144), xeon("6972P", 500, 192), xeon("6980P", 500, 256),
    // Naples, Rome
    epyc("7551", 180, 64), epyc("7601", 180, 64),
    epyc("7262", 155, 16), epyc("7272", 120, 24), epyc("7282", 120, 32), epyc("7302", 155, 32), epyc("7352", 155, 48),
    epyc("7402", 180, 48), epyc("7452", 155, 64), epyc("7502", 180, 64), epyc("7542", 225, 64), epyc("7552", 200, 96),
    epyc("7642", 225, 96), epyc("7662", 225, 128), epyc("7702", 200, 128), epyc("7742", 225, 128), epyc("7H12", 280, 128),
    // Milan
    epyc("7313", 155, 32), epyc("7343", 190, 32), epyc("7413", 180, 48), epyc("7443", 200, 48), epyc("7453", 225, 56),
    epyc("7513", 200, 64), epyc("7543", 225, 64), epyc("75F3", 280, 64), epyc("7643", 225, 96), epyc("7663", 240, 112),
    epyc("7713", 225, 128), epyc("7763", 280, 128), epyc("7773X", 280, 128),
    // Genoa, Bergamo
    epyc("9124", 200, 32), epyc("9224", 200, 48), epyc("9254", 200, 48), epyc("9334", 210, 64), epyc("9354", 280, 64),
    epyc("9374F", 320, 64), epyc("9454", 290, 96), epyc("9474F", 360, 96), epyc("9534", 280, 128), epyc("9554", 360, 128),
    epyc("9634", 290, 168), epyc("9654", 360, 192), epyc("9684X", 400, 192), epyc("9734", 340, 224), epyc("9754", 360, 256),
    // Turin
    epyc("9355", 280, 64), epyc("9455", 300, 96), epyc("9535", 300, 128), epyc("9555", 360, 128), epyc("9575F", 400, 128),
    epyc("9655", 400, 192), epyc("9755", 500, 256),
    // Core: those of machines with a GPU
    core("i7-8700K", 95, 12), core("i7-9700K", 95, 8), core("i9-9900K", 95, 16), core("i7-10700K", 125, 16),
    core("i9-10900K", 125, 20), core("i9-10980XE", 165, 36), core("i9-11900K", 125, 16), core("i5-12600K", 125, 16),
    core("i7-12700K", 125, 20), core("i9-12900K", 125, 24), core("i5-13600K", 125, 20), core("i7-13700K", 125, 24),
    core("i9-13900K", 125, 32), core("i7-14700K", 125, 28), core("i9-14900K", 125, 32),
    // Ryzen and Threadripper
    ryzen("3600", 65, 12), ryzen("3700X", 65, 16), ryzen("3900X", 105, 24), ryzen("3950X", 105, 32),
    ryzen("5600X", 65, 12), ryzen("5800X", 105, 16), ryzen("5900X", 105, 24), ryzen("5950X", 105, 32),
    ryzen("7600X", 105, 12), ryzen("7700X", 105, 16), ryzen("7800X3D", 120, 16), ryzen("7900X", 170, 24),
    ryzen("7950X", 170, 32), ryzen("7950X3D", 120, 32), ryzen("9700X", 65, 16), ryzen("9900X", 120, 24),
    ryzen("9950X", 170, 32), ryzen("3960X", 280, 48), ryzen("3970X", 280, 64), ryzen("3990X", 280, 128),
    ryzen("3975WX", 280, 64), ryzen("3995WX", 280, 128), ryzen("5955WX", 280, 32), ryzen("5965WX", 280, 48),
    ryzen("5975WX", 280, 64), ryzen("5995WX", 280, 128), ryzen("7970X", 350, 64), ryzen("7980X", 350, 128),
    ryzen("7965WX", 350, 48), ryzen("7975WX", 350, 64), ryzen("7985WX", 350, 128), ryzen("7995WX", 350, 192),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_kernels_write_them() {
        let cases = [
            ("Intel(R) Xeon(R) Gold 6148 CPU @ 2.40GHz", 150, 40),
            ("Intel(R) Xeon(R) CPU E5-2698 v4 @ 2.20GHz", 135, 40),
            ("Intel(R) Xeon(R) Platinum 8480+", 350, 112),
            ("INTEL(R) XEON(R) PLATINUM 8592+", 350, 128),
            ("AMD EPYC 7742 64-Core Processor", 225, 128),
            ("AMD EPYC 9654 96-Core Processor", 360, 192),
            ("Intel(R) Core(TM) i9-13900K", 125, 32),
            ("13th Gen Intel(R) Core(TM) i7-13700K", 125, 24),
            ("AMD Ryzen 9 5950X 16-Core Processor", 105, 32),
            ("AMD Ryzen Threadripper PRO 5995WX 64-Cores", 280, 128),
        ];
        for (name, tdp, threads) in cases {
            let found = find(name).map_or((0, 0), |known| (known.tdp_w, known.threads));
            assert_eq!(found, (tdp, threads), "{name}");
        }
    }

    #[test]
    fn names_without_a_known_model_are_not_guessed() {
        for name in [
            "AMD EPYC",
            "AMD EPYC Processor",
            "AMD EPYC 7R13 Processor",
            "Intel(R) Xeon(R) CPU @ 2.20GHz",
            "Neoverse-V2",
        ] {
            assert_eq!(find(name), None, "{name}");
        }
        assert_eq!(find("Some 6148 made by another"), None);
    }

    #[test]
    fn the_table_names_each_model_once_with_believable_figures() {
        for (i, known) in TABLE.iter().enumerate() {
            assert!(
                TABLE[..i].iter().all(|other| other.model != known.model),
                "{} twice",
                known.model
            );
            let per_thread = f64::from(known.tdp_w) / f64::from(known.threads);
            assert!(
                (1.3..=12.0).contains(&per_thread),
                "{}: {per_thread} W a thread",
                known.model
            );
        }
    }

    #[test]
    fn the_typical_figure_lies_among_its_family() {
        let server = typical_watts_per_thread("AMD EPYC").0;
        let desktop = typical_watts_per_thread("Intel(R) Core(TM) i3-1").0;
        assert!((2.0..4.0).contains(&server), "{server}");
        assert!(desktop > server);
        assert!(typical_watts_per_thread("Neoverse-V2").0 > 0.0);
    }
}
