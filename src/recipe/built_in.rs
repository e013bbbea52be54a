//! Recipes that come along.

/// A recipe that needs no file.
#[derive(Clone, Copy, Debug)]
pub struct BuiltIn {
    /// By which it is run.
    pub name: &'static str,
    /// What it does, one line.
    pub help: &'static str,
    /// The recipe; its paths are relative to where it is run.
    pub text: &'static str,
}

/// All of them.
pub static BUILT_IN: &[BuiltIn] = &[
    BuiltIn {
        name: "laptop",
        help: "SmolLM2-135M on the tasks of this repository, under three hours on two cores",
        text: include_str!("../../assets/recipes/laptop.toml"),
    },
    BuiltIn {
        name: "flan",
        help: "Phi-2 on 256 Flan tasks with the settings of the paper, on a Slurm cluster",
        text: include_str!("../../assets/recipes/flan.toml"),
    },
];

/// The recipes as a Markdown table of the docs.
pub fn reference() -> String {
    let mut out = String::from("| recipe | what it does |\n|---|---|\n");
    for recipe in BUILT_IN {
        out += &format!("| `{}` | {} |\n", recipe.name, recipe.help);
    }
    out
}
