//! The shells: what each is set up to ask, and how it is answered.

use std::path::Path;

use clap::Command;

use super::NAME;
use super::candidate::{Answer, Paths};
use super::line::Word;
use crate::named::{Named, by_name};

/// A shell.
#[derive(Clone, Debug)]
pub struct Shell {
    name: &'static str,
    help: &'static str,
    how: How,
}

/// How a shell completes.
#[derive(Clone, Debug)]
enum How {
    Asks(Asking),
    /// By a script that is made once.
    Static(clap_complete::Shell),
}

/// A shell that asks at every Tab.
#[derive(Clone, Copy, Debug)]
pub struct Asking {
    /// The script, given where this program is.
    pub script: fn(&Path) -> String,
    /// The answer for the script, given the word at the cursor and the characters that begin another one.
    pub print: fn(&Answer, &Word, &str) -> String,
}

static SHELLS: [Shell; 5] = [
    Shell {
        name: "bash",
        help: "source <(lora-tui completions bash)",
        how: How::Asks(Asking { script: bash_script, print: print_for_bash }),
    },
    Shell {
        name: "zsh",
        help: "source <(lora-tui completions zsh), after compinit",
        how: How::Asks(Asking { script: zsh_script, print: print_described }),
    },
    Shell {
        name: "fish",
        help: "lora-tui completions fish | source",
        how: How::Asks(Asking { script: fish_script, print: print_described }),
    },
    Shell {
        name: "elvish",
        help: "eval (lora-tui completions elvish | slurp)",
        how: How::Static(clap_complete::Shell::Elvish),
    },
    Shell {
        name: "powershell",
        help: "lora-tui completions powershell | Out-String | Invoke-Expression",
        how: How::Static(clap_complete::Shell::PowerShell),
    },
];

impl Named for Shell {
    const KIND: &'static str = "shell";

    fn all() -> &'static [Self] {
        &SHELLS
    }

    fn name(&self) -> &'static str {
        self.name
    }

    fn help(&self) -> &'static str {
        self.help
    }
}

by_name!(Shell);

impl Shell {
    /// What a shell that asks gets as its answer.
    pub fn asking(&self) -> Option<Asking> {
        match &self.how {
            How::Asks(asking) => Some(*asking),
            How::Static(_) => None,
        }
    }

    /// The script of a shell that does not ask; empty for others.
    pub fn static_script(&self, command: &mut Command) -> String {
        let mut script = Vec::new();
        if let How::Static(shell) = self.how {
            clap_complete::generate(shell, command, NAME, &mut script);
        }
        String::from_utf8_lossy(&script).into_owned()
    }
}

/// Where the scripts go.
pub fn help() -> String {
    let lines = SHELLS.iter().map(|shell| format!("  {:<10}  {}", shell.name, shell.help));
    format!("To switch them on:\n{}", lines.collect::<Vec<_>>().join("\n"))
}

/// The first line of an answer: what the shell should find itself.
fn kind(answer: &Answer) -> &'static str {
    match answer.paths {
        Paths::None => "none",
        Paths::Folders => "folders",
        Paths::Files => "files",
    }
}

/// Candidates that a line can take.
fn printable(answer: &Answer) -> impl Iterator<Item = (&str, &str)> {
    let all = answer.candidates.iter().map(|candidate| (candidate.text.as_str(), candidate.help.as_str()));
    all.filter(|(text, _)| !text.contains(char::is_control))
}

fn print_described(answer: &Answer, _word: &Word, _breaks: &str) -> String {
    let mut text = format!("{}\n", kind(answer));
    for (candidate, help) in printable(answer) {
        let help = help.replace(char::is_control, " ");
        text.push_str(&format!("{candidate}\t{help}\n"));
    }
    text
}

/// Bash replaces what follows the last character that begins a word for it, and takes words as they are typed.
fn print_for_bash(answer: &Answer, word: &Word, breaks: &str) -> String {
    let quoted = word.typed.starts_with(['\'', '"']);
    let kept = match quoted {
        true => 0,
        false => {
            let last = word.text.char_indices().rfind(|&(_, c)| breaks.contains(c) && "=:".contains(c));
            last.map_or(0, |(at, c)| at + c.len_utf8())
        }
    };
    let mut text = format!("{}\n", kind(answer));
    for (candidate, _) in printable(answer) {
        let rest = candidate.get(kept..).unwrap_or(candidate);
        text.push_str(&if quoted { rest.to_string() } else { escaped(rest) });
        text.push('\n');
    }
    text
}

/// With a backslash before what a shell would take for more than a character.
fn escaped(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:=,+@%^".contains(c) || !c.is_ascii();
    let escape = |c: char| if plain(c) { c.to_string() } else { format!("\\{c}") };
    text.chars().map(escape).collect()
}

/// A path for a script, in quotes.
fn in_quotes(path: &Path, quote: &str) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', quote))
}

fn bash_script(program: &Path) -> String {
    r#"# Completions of lora-tui for bash: the program is asked at every Tab.
_lora_tui() {
    local program=PROGRAM kind= line
    [ -x "$program" ] || program=lora-tui
    COMPREPLY=()
    {
        IFS= read -r kind
        while IFS= read -r line; do COMPREPLY+=("$line"); done
    } < <("$program" completions bash --line="${COMP_LINE:0:COMP_POINT}" --breaks="$COMP_WORDBREAKS" 2>/dev/null)
    case $kind in
        files) compopt -o default 2>/dev/null ;;
        folders) compopt -o plusdirs 2>/dev/null ;;
    esac
    # After `single:` and `--option=` comes more.
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[:=] ]] && compopt -o nospace 2>/dev/null
    return 0
}
complete -F _lora_tui lora-tui
"#
    .replace("PROGRAM", &in_quotes(program, r"'\''"))
}

fn zsh_script(program: &Path) -> String {
    r#"#compdef lora-tui
# Completions of lora-tui for zsh: the program is asked at every Tab.
_lora_tui() {
    local program=PROGRAM kind= text= help=
    local -a texts shown
    [[ -x $program ]] || program=lora-tui
    {
        IFS= read -r kind
        while IFS=$'\t' read -r text help; do
            texts+=("$text")
            shown+=("$text${help:+  -- $help}")
        done
    } < <("$program" completions zsh --line="${(j: :)words[1,CURRENT-1]} $PREFIX" 2>/dev/null)
    (( $#texts )) && compadd -l -d shown -a texts
    case $kind in
        files) _files ;;
        folders) _files -/ ;;
    esac
}
if [[ $funcstack[1] == _lora_tui ]]; then
    _lora_tui "$@"
else
    compdef _lora_tui lora-tui
fi
"#
    .replace("PROGRAM", &in_quotes(program, r"'\''"))
}

fn fish_script(program: &Path) -> String {
    r#"# Completions of lora-tui for fish: the program is asked at every Tab.
function __lora_tui_complete
    set -l program PROGRAM
    test -x $program; or set program lora-tui
    set -l lines ($program completions fish --line=(commandline -cp | string collect) 2>/dev/null)
    switch "$lines[1]"
        case files
            __fish_complete_path (commandline -ct)
        case folders
            __fish_complete_directories (commandline -ct) ''
    end
    if set -q lines[2]
        printf '%s\n' $lines[2..]
    end
end
complete -c lora-tui -f -a '(__lora_tui_complete)'
"#
    .replace("PROGRAM", &in_quotes(program, r"\'"))
}
