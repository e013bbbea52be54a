//! Runs Slurm's commands: no shell, separate arguments, a limit on time and output.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::text::{short, typed};

/// How long a command may take: a busy controller answers within its own timeout, which is 10 to 30 s.
const LIMIT: Duration = Duration::from_secs(60);
/// Largest error text that is read.
const MAX_ERRORS: u64 = 1 << 16;
/// Between two looks whether a command has ended; the first ones are quicker.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// A command as it is to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Looked for on the PATH.
    pub program: &'static str,
    /// Each as it is.
    pub arguments: Vec<String>,
}

/// Why a command gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It is not on this machine.
    Missing(String),
    /// It has answered with an error, or with too much.
    Refused(String),
    /// It did not answer in time, or its controller did not.
    Silent(String),
    /// Somebody ended it before it could say what came of it.
    Killed(String),
}

impl Failure {
    /// One line.
    pub fn text(&self) -> &str {
        match self {
            Self::Missing(text) | Self::Refused(text) | Self::Silent(text) | Self::Killed(text) => text,
        }
    }
}

impl Call {
    /// A call of `program`.
    pub fn new<A: Into<String>>(program: &'static str, arguments: impl IntoIterator<Item = A>) -> Self {
        Self { program, arguments: arguments.into_iter().map(Into::into).collect() }
    }

    /// As it would be typed.
    pub fn typed(&self) -> String {
        let words = std::iter::once(self.program).chain(self.arguments.iter().map(String::as_str));
        words.map(typed).collect::<Vec<_>>().join(" ")
    }

    /// Runs it; gives what it printed, which is at most `max` bytes.
    ///
    /// # Errors
    /// What stands in its way, in one line.
    pub fn run(&self, max: u64) -> Result<Vec<u8>, Failure> {
        let program = self.program;
        let mut child = Command::new(program)
            .args(&self.arguments)
            // Ranges of array tasks in full.
            .env("SLURM_BITSTR_LEN", "0")
            .env("SLURM_TIME_FORMAT", "%s")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => Failure::Missing(format!(
                    "`{program}` is not here: Slurm's commands have to be on the PATH of the machine that hands jobs \
                     over"
                )),
                _ => Failure::Missing(format!("`{program}` cannot be run: {error}")),
            })?;
        let output = reader(child.stdout.take(), max);
        let errors = reader(child.stderr.take(), MAX_ERRORS);
        let ended = wait(&mut child, LIMIT);
        let text = |bytes: Option<Vec<u8>>| bytes.unwrap_or_default();
        let status = match ended {
            Ok(Some(status)) => status,
            Ok(None) => {
                return Err(Failure::Silent(format!(
                    "`{program}` gave no answer within {} s",
                    LIMIT.as_secs()
                )));
            }
            Err(error) => return Err(Failure::Silent(format!("`{program}`: {error}"))),
        };
        let (output, errors) = (
            text(output.and_then(|thread| thread.join().ok())),
            text(errors.and_then(|thread| thread.join().ok())),
        );
        if output.len() as u64 > max {
            return Err(Failure::Refused(format!("`{program}` printed more than {max} bytes")));
        }
        if status.success() { Ok(output) } else { Err(refusal(program, status, &errors)) }
    }
}

/// What a command that failed has said, in one line.
fn refusal(program: &str, status: ExitStatus, errors: &[u8]) -> Failure {
    let errors = String::from_utf8_lossy(errors);
    let lines = errors.lines().map(|line| {
        let line = line.strip_prefix(program).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(line);
        line.strip_prefix("error: ").unwrap_or(line).trim()
    });
    let said = lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ");
    let said = if said.is_empty() { status.to_string() } else { short(&said) };
    let text = format!("`{program}`: {said}");
    let is_silent = [
        "Unable to contact slurm controller",
        "Socket timed out",
        "Connection refused",
        "Zero Bytes were transmitted",
    ];
    match () {
        () if status.code().is_none() => Failure::Killed(text),
        () if is_silent.iter().any(|words| said.contains(words)) => Failure::Silent(text),
        () => Failure::Refused(text),
    }
}

type Reading = Option<std::thread::JoinHandle<Vec<u8>>>;

/// Reads at most one byte more than `max` on a thread of its own, so that the command never waits for its reader.
fn reader(pipe: Option<impl Read + Send + 'static>, max: u64) -> Reading {
    let pipe = pipe?;
    let work = move || {
        let mut bytes = Vec::new();
        // What was read until an error came is judged as it is.
        let _ = pipe.take(max.saturating_add(1)).read_to_end(&mut bytes);
        bytes
    };
    std::thread::Builder::new().name("slurm-output".into()).spawn(work).ok()
}

/// Waits for the end; `None` when the limit came first, which ends the command.
fn wait(child: &mut Child, limit: Duration) -> std::io::Result<Option<ExitStatus>> {
    let began = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if began.elapsed() >= limit {
            // It may have ended this moment.
            let _ = child.kill();
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(BETWEEN_LOOKS);
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn arguments_stay_apart_and_are_quoted_for_people_alone() {
        let call = Call::new("printf", ["%s|", "a b", "it's", "$(id)", ""]);
        assert_eq!(call.run(100).unwrap(), b"a b|it's|$(id)||");
        assert_eq!(call.typed(), "printf '%s|' 'a b' 'it'\\''s' '$(id)' ''");
    }

    #[test]
    fn what_goes_wrong_is_one_line() {
        let missing = Call::new("sbatch-of-no-machine", ["x"]).run(10).unwrap_err();
        assert!(
            matches!(&missing, Failure::Missing(text) if text.contains("has to be on the PATH") || text.contains("have to be on the PATH")),
            "{missing:?}"
        );
        let said = |text: &str| {
            Call::new("sh", ["-c", &format!("printf '%s' '{text}' >&2; exit 3")]).run(10).unwrap_err()
        };
        assert_eq!(said("sh: error: no\nsh: error: and no"), Failure::Refused("`sh`: no; and no".into()));
        assert_eq!(said(""), Failure::Refused("`sh`: exit status: 3".into()));
        assert!(matches!(
            said("sh: error: Unable to contact slurm controller (connect failure)"),
            Failure::Silent(_)
        ));
        let killed = Call::new("sh", ["-c", "kill -TERM $$"]).run(10).unwrap_err();
        assert!(matches!(killed, Failure::Killed(_)), "{killed:?}");
        let much = Call::new("sh", ["-c", "yes | head -c 100000"]).run(10).unwrap_err();
        assert_eq!(much.text(), "`sh` printed more than 10 bytes");
    }
}
