//! Which rank this process is, from what launchers put into the environment.

/// torchrun and accelerate, Open MPI, MPICH and Intel MPI, srun: in this order, because torchrun is itself started by srun.
const VARIABLES: [&str; 4] = ["RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID"];

/// The first of them that holds a rank, else 0.
pub(super) fn from_env(lookup: impl Fn(&str) -> Option<String>) -> u32 {
    VARIABLES
        .iter()
        .find_map(|name| lookup(name)?.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rank_of(variables: &[(&str, &str)]) -> u32 {
        from_env(|name| {
            variables
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_innermost_launcher_wins_and_nonsense_is_passed_over() {
        assert_eq!(rank_of(&[]), 0);
        assert_eq!(rank_of(&[("SLURM_PROCID", "1"), ("RANK", "6")]), 6);
        assert_eq!(rank_of(&[("SLURM_PROCID", "5")]), 5);
        assert_eq!(rank_of(&[("OMPI_COMM_WORLD_RANK", "2"), ("PMI_RANK", "3")]), 2);
        assert_eq!(rank_of(&[("RANK", "gold"), ("PMI_RANK", "3")]), 3);
        assert_eq!(rank_of(&[("RANK", "-1")]), 0);
    }
}
