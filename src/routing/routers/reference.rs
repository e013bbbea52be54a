//! The routers as a table of the docs.

use std::fmt::Write;

use super::{Domain, ROUTERS, Router, settings};

/// A Markdown table of the routers: text form, settings with their defaults, what each does; and one of the
/// settings.
pub fn reference() -> String {
    let mut text = String::from("| router | settings | weights |\n|---|---|---|\n");
    for router in ROUTERS {
        let names: Vec<String> = router.settings.iter().map(|s| format!("`{}`", s.name)).collect();
        let settings = if names.is_empty() { "–".to_string() } else { names.join(", ") };
        // A bar would end the cell.
        let help = router.help.replace('|', "\\|");
        let _ = writeln!(text, "| `{}` | {settings} | {help} |", router.usage());
    }
    for router in ROUTERS {
        let Router { title, formula, source, cost, fails, .. } = router;
        let _ = write!(
            text,
            "\n**{title}** (`{}`). Weights: {formula}. Source: {source}. Cost: {cost}. ",
            router.usage()
        );
        let _ = writeln!(text, "Fails: {fails}.");
    }
    text.push_str("\n| setting | values | default | also as | meaning |\n|---|---|---|---|---|\n");
    for setting in settings() {
        let values = match &setting.domain {
            Domain::Word { words } => words().iter().map(|word| word.word).collect::<Vec<_>>().join(", "),
            _ => setting.range().to_string(),
        };
        let option = setting.shorthand.as_ref().map_or("–".into(), |s| format!("`--{}`", s.option));
        let (name, default, help) = (setting.name, setting.default_value(), setting.help);
        let _ = writeln!(text, "| `{name}` | {values} | {default} | {option} | {help} |");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_router_and_every_setting_once() {
        let text = reference();
        for router in ROUTERS {
            assert_eq!(text.matches(&format!("\n| `{}` |", router.usage())).count(), 1, "{text}");
        }
        for setting in settings() {
            assert_eq!(text.matches(&format!("\n| `{}` |", setting.name)).count(), 1, "{text}");
        }
    }
}
