//! The table of settings in the docs.

use super::Setting;

/// A Markdown table of all settings with an option: its name, default, range and help.
pub fn markdown<S: Default>(table: &[Setting<S>]) -> String {
    let mut out = String::from("| option | default | value | what it does |\n|---|---|---|---|\n");
    for setting in table.iter().filter(|setting| !setting.flag.is_empty()) {
        let value = match setting.kind.words() {
            Some(_) if setting.is_switch() => String::new(),
            Some(words) => words.iter().map(|word| format!("`{}`", word.word)).collect::<Vec<_>>().join(", "),
            None => setting.kind.wanted(),
        };
        let stands = match setting.fallback() {
            text if text.is_empty() || !setting.unset.is_empty() => text,
            text => format!("`{text}`"),
        };
        // A bar would end the cell.
        let help = setting.help.replace('|', "\\|");
        out += &format!("| `--{}` | {stands} | {value} | {help} |\n", setting.flag);
    }
    out
}
