//! Tests with SmolLM2, the base model of the shipped library. It is found, or fetched, as the program does it.
//! Where that fails the tests are skipped with one line on stderr; with `CI=true` they fail instead, so that
//! none is lost silently.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use lora_tui::Cancel;
use lora_tui::catalog::Catalog;

use crate::support::repository;

/// A prompt typed into the Routing tab.
#[cfg(unix)]
mod routing_tab;
/// The shipped experts on their base model, through the command line.
mod shipped_experts;
/// Logits of the real base model and of a shipped expert against transformers and PEFT.
mod smollm_parity;

/// The base model's file, or `None` where it cannot be had and the test is to be skipped.
fn base_model() -> Option<&'static Path> {
    static BASE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let base = BASE.get_or_init(|| {
        let base = find_or_fetch().map_err(|error| format!("{error}: {}", error.details().join("; ")));
        if let Err(error) = &base {
            use std::io::Write;
            // Not `eprintln!`, which the test harness keeps to itself.
            let _ = writeln!(
                std::io::stderr(),
                "skipped: base_model::*: the base model is not here and cannot be fetched: {error}"
            );
        }
        base
    });
    let in_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(base.is_ok() || !in_ci, "no base model in CI: {base:?}");
    base.as_deref().ok()
}

fn find_or_fetch() -> lora_tui::Result<PathBuf> {
    Catalog::open(&repository().join("library"), None)?.base_fetched(&mut |_| {}, &Cancel::new())
}
