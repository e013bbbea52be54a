//! Which experts the tokens of a prompt use, under Arrow. The base model is that of the library, and has to be on
//! this machine (`lora-tui fetch LIBRARY`).
//!
//!     cargo run --release --example route -- ./library "Niega esta frase. Mi hermana lleva gafas."

use lora_tui::library::{BaseLocation, Library, locate_base};
use lora_tui::model::{LoadOptions, Precision};
use lora_tui::routing::{RouterConfig, Session, TEMPERATURE, TOP_K};
use lora_tui::{Cancel, Error, Result};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().unwrap_or_else(|| "library".into());
    let prompt = arguments.next().unwrap_or_else(|| "Niega esta frase. Mi hermana lleva gafas.".into());
    let library = Library::open(folder.as_ref())?;
    let BaseLocation::Found { path, .. } = locate_base(&library, None)? else {
        return Err(Error::msg("the base model is not here: `lora-tui fetch` downloads it"));
    };

    let options = LoadOptions { precision: Precision::Q8, ..LoadOptions::default() };
    let mut session = Session::open(&library, &path, &options, &mut |_| {}, &Cancel::new())?;
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
