//! Which experts the tokens of a prompt use, under Arrow. The base model is that of the library, and has to be on
//! this machine (`lora-tui fetch LIBRARY`).
//!
//!     cargo run --release --example route -- ./library "Niega esta frase. Mi hermana lleva gafas."

use lora_tui::catalog::Catalog;
use lora_tui::model::{LoadOptions, Precision};
use lora_tui::routing::{RouterConfig, Session, TEMPERATURE, TOP_K};
use lora_tui::{Cancel, Result};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().unwrap_or_else(|| "library".into());
    let prompt = arguments.next().unwrap_or_else(|| "Niega esta frase. Mi hermana lleva gafas.".into());
    let catalog = Catalog::open(folder.as_ref(), None)?;
    let base = catalog.base_here()?;

    let options = LoadOptions { precision: Precision::Q8, ..LoadOptions::default() };
    let mut session = Session::open(&catalog, &base, &options, &mut |_| {}, &Cancel::new())?;
    session.set_router(RouterConfig::default().with(&TOP_K, 2).with(&TEMPERATURE, 0.1))?;
    let trace = session.route(&prompt, false, &mut |_, _| {}, &Cancel::new())?;

    let middle = trace.modules.len() / 2;
    println!("at {}:", trace.modules[middle]);
    for (at, token) in trace.tokens.iter().enumerate() {
        let shares: Vec<String> = trace
            .weights(at, middle)
            .iter()
            .map(|(expert, weight)| format!("{} {weight:.2}", trace.experts[*expert as usize]))
            .collect();
        println!("{:16} {}", format!("{:?}", token.text), shares.join(", "));
    }
    Ok(())
}
