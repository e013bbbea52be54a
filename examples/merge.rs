//! Makes one adapter out of several and looks at the result.
//!
//!     cargo run --release --example merge -- ./library dates iso_date clock_12h

use lora_tui::catalog::Catalog;
use lora_tui::merge::{MergeMethod, MergeSpec, merge};
use lora_tui::{Cancel, Error, Result};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(folder), Some(name)) = (arguments.next(), arguments.next()) else {
        return Err(Error::usage("usage: merge LIBRARY NAME EXPERT…"));
    };
    let library = Catalog::open(folder.as_ref(), None)?;
    let spec = MergeSpec {
        experts: arguments.collect(),
        // 1/n each.
        weights: None,
        // The best approximation of the mean ΔW at the rank of the largest expert.
        method: MergeMethod::SVD,
        rank: None,
        density: None,
        seed: None,
        name,
    };
    let report = merge(&library, &spec, &mut |_, _| {}, &Cancel::new())?;
    println!("{}: rank {}, {} modules", report.path.display(), report.rank, report.modules);
    if let Some(lost) = report.energy_lost {
        println!("{:.1} % of the squared norm of ΔW is lost", 100.0 * lost);
    }
    Ok(())
}
