//! Which experts of a library resemble each other, and how they cluster.
//!
//!     cargo run --release --example similarity -- ./library

use lora_tui::analysis::{ComparisonCache, Metric, cluster, similarity};
use lora_tui::library::Library;
use lora_tui::{Cancel, Result};

fn main() -> Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "library".into());
    let library = Library::open(folder.as_ref())?;
    // As in the paper, half of each expert's entries count as zero, the smallest.
    let found = similarity(
        &library,
        Metric::MBC,
        0.5,
        &ComparisonCache::of(&library),
        &mut |_, _| {},
        &Cancel::new(),
    )?;
    let clusters = cluster(&found, 4.min(found.len()), 42, &Cancel::new())?;

    for (row, name) in found.experts.iter().enumerate() {
        let others = (0..found.len()).filter(|column| *column != row);
        let nearest = others.max_by(|a, b| found.get(row, *a).total_cmp(&found.get(row, *b)));
        let label = clusters.labels[row] + 1;
        match nearest {
            Some(other) => println!(
                "cluster {label}  {name:24} most like {} ({:.3})",
                found.experts[other],
                found.get(row, other)
            ),
            None => println!("cluster {label}  {name}"),
        }
    }
    for skipped in &found.skipped {
        eprintln!("left out: {skipped}");
    }
    Ok(())
}
