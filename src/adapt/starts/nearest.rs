//! Nearest: the expert that answers the examples best.

use super::{Mixture, Start};
use crate::{Error, Result};

pub(super) static START: Start = Start {
    id: "nearest",
    help: "The expert with the lowest loss on the examples, of equals the first by name",
    uses_experts: true,
    learns_weights: false,
    is_router: false,
    weigh: |bench, _, shots| {
        let losses = bench.losses(shots)?;
        let best = nearest(&bench.names, &losses)?;
        let weights: Vec<f64> = (0..losses.len()).map(|expert| f64::from(u8::from(expert == best))).collect();
        Ok(Some(Mixture::everywhere(&weights, bench.merging.modules().len())))
    },
};

/// The expert with the lowest loss; one whose loss is no number is none.
fn nearest(names: &[String], losses: &[f64]) -> Result<usize> {
    let known = losses.iter().zip(names).enumerate().filter(|(_, (loss, _))| loss.is_finite());
    let best = known.min_by(|(_, (a, one)), (_, (b, other))| a.total_cmp(b).then(one.cmp(other)));
    let best = best.ok_or_else(|| Error::msg("no expert has a finite loss on the examples"))?;
    Ok(best.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equals_the_first_by_name_is_nearest_and_no_number_is_none() {
        let names = ["b", "a", "c"].map(String::from);
        assert_eq!(nearest(&names, &[1.0, 1.0, 2.0]).unwrap(), 1);
        assert_eq!(nearest(&names, &[f64::NAN, 3.0, 2.0]).unwrap(), 2);
        assert!(nearest(&names, &[f64::NAN; 3]).is_err());
    }
}
