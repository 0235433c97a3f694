//! How a command ends: exit codes and the last words on the terminal.

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

use tacit_client::ClientError;
use tacit_model::problem::ProblemKind;
use tacit_model::{RunId, Slot, plain_lines};

/// The exit codes that scripts rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// Anything else.
    Other = 1,
    /// Wrong usage or configuration.
    Usage = 2,
    /// Refused by a policy, an authorisation or a verification.
    Refused = 3,
    /// Unreachable or timed out.
    Unreachable = 4,
}

/// How this program is called in a command that somebody shall type: `tacit` if a shell finds it under that name,
/// otherwise where it is.
pub(crate) fn program() -> String {
    let Ok(own) = std::env::current_exe() else { return "tacit".to_owned() };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let first = std::env::split_paths(&path).map(|folder| folder.join("tacit")).find(|file| file.is_file());
    if first.and_then(|file| file.canonicalize().ok()) == own.canonicalize().ok() {
        return "tacit".to_owned();
    }
    let here = std::env::current_dir().ok();
    let below = here.as_deref().and_then(|here| own.strip_prefix(here).ok()).unwrap_or(&own).display().to_string();
    // Without a slash the shell would look for it elsewhere; with a space it would be two words.
    let below = if below.contains('/') { below } else { format!("./{below}") };
    for_shell(&below)
}

/// A word of a command that somebody shall type, as a shell reads it: in quotes where it holds anything unusual.
pub(crate) fn for_shell(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A command that did not do what was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    code: Code,
    error: anyhow::Error,
}

impl Failure {
    pub(crate) fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code, error: anyhow::Error::msg(text.into()) }
    }

    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self::new(Code::Usage, text)
    }

    /// For what the system would not do with a file or a folder: says which place is at fault, and what to do next.
    pub(crate) fn at(path: &Path, undone: &str, next: &str) -> impl Fn(std::io::Error) -> Self {
        move |error: std::io::Error| {
            // In full: a relative path means another place in another directory.
            let full = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            let above = full.parent().unwrap_or(&full);
            let lost = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory);
            let why = match above.ancestors().find(|part| part.exists()).filter(|_| lost) {
                Some(file) if !file.is_dir() => format!("{} is a file and no folder", file.display()),
                Some(folder) if folder != above => format!("there is no folder {}", above.display()),
                _ => format!("{} cannot be {undone}: {error}", full.display()),
            };
            // A full disk is no wrong usage.
            let code = match error.kind() {
                ErrorKind::NotFound
                | ErrorKind::NotADirectory
                | ErrorKind::IsADirectory
                | ErrorKind::AlreadyExists
                | ErrorKind::PermissionDenied => Code::Usage,
                _ => Code::Other,
            };
            Self::new(code, format!("{why}; {next}"))
        }
    }

    /// The same failure with the thing it is about in front.
    pub(crate) fn about(self, what: &str) -> Self {
        Self { error: self.error.context(what.to_owned()), ..self }
    }

    /// The error that it was made of, if it is of this type.
    pub(crate) fn cause<E>(&self) -> Option<&E>
    where
        E: core::fmt::Display + core::fmt::Debug + Send + Sync + 'static,
    {
        self.error.downcast_ref()
    }

    /// Whether all that happened is that a `head` on the other end of the output has read enough.
    fn nobody_reads(&self) -> bool {
        self.error.downcast_ref::<NobodyReads>().is_some()
    }

    /// Says what went wrong, on the error output.
    pub(crate) fn report(self) -> ExitCode {
        if self.nobody_reads() {
            return ExitCode::SUCCESS;
        }
        let _read = writeln!(std::io::stderr(), "tacit: {}", plain_lines(&format!("{:#}", self.error)));
        ExitCode::from(self.code as u8)
    }
}

impl core::fmt::Display for Failure {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:#}", self.error)
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error: anyhow::Error = error.into();
        let code = code_of(&error);
        let asked_without = |error: &ClientError| match error {
            ClientError::Refused(problem) => problem.kind == ProblemKind::Unauthenticated,
            _ => false,
        };
        let error = match error.downcast_ref::<ClientError>().is_some_and(asked_without) {
            true => error.context(
                "this command needs the token of a node: give --data FOLDER or TACIT_DATA (a node's folder), or \
                 --token-file FILE",
            ),
            false => error,
        };
        Self { code, error }
    }
}

/// The reader of the output has gone: the command is over, and did nothing wrong.
#[derive(Debug)]
struct NobodyReads;

impl core::fmt::Display for NobodyReads {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("nobody reads the output any more")
    }
}

impl core::error::Error for NobodyReads {}

/// A result line of a command. A reader that has gone ends the command quietly, on its way through the callers: so
/// whatever they hold is put away.
pub(crate) fn result_line(text: &str) -> Result<(), Failure> {
    match line(text) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(NobodyReads.into()),
        written => Ok(written?),
    }
}

/// What a service says of itself. Whether anybody reads it must not matter to the service.
pub(crate) fn notice(text: &str) {
    let _read = line(text);
}

/// Prints a line; unlike `println!` it does not panic when nobody reads any more.
pub(crate) fn line(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Which computation it is: of a group's run, or of a client's task, by the first digits of its id.
pub(crate) fn computation(run: RunId, slot: Slot) -> String {
    match tacit_job::task_digits(run) {
        Some(task) => format!("task {task}... computation {}", slot.counted()),
        None => format!("run {run} slot {}", slot.counted()),
    }
}

/// A number of bytes, for people.
pub(crate) fn bytes(count: u64) -> String {
    match count {
        b if b >= 1_000_000 => format!("{:.1} MB", b as f64 / 1e6),
        b if b >= 1_000 => format!("{:.1} kB", b as f64 / 1e3),
        b => format!("{b} B"),
    }
}

/// The exit code of a failure that came from a node or from the network.
fn code_of(error: &anyhow::Error) -> Code {
    match error.downcast_ref::<ClientError>() {
        Some(ClientError::Refused(problem)) => match problem.kind {
            ProblemKind::Unauthenticated | ProblemKind::Forbidden | ProblemKind::Refused => Code::Refused,
            ProblemKind::BadRequest | ProblemKind::Invalid => Code::Usage,
            ProblemKind::Unavailable => Code::Unreachable,
            _ => Code::Other,
        },
        Some(ClientError::Untrusted(_) | ClientError::UnknownToken { .. }) => Code::Refused,
        Some(ClientError::Unreachable { .. } | ClientError::NobodyLeads(_) | ClientError::TimedOut(_)) => {
            Code::Unreachable
        }
        Some(ClientError::Address(_) | ClientError::OtherProtocol { .. } | ClientError::Token) => Code::Usage,
        _ => Code::Other,
    }
}

#[cfg(test)]
mod tests {
    use tacit_model::problem::Problem;

    use super::*;

    #[test]
    fn a_shell_reads_a_printed_name_as_one_word() {
        for word in ["alpha", "b1-above", "run/k.key", "x_2"] {
            assert_eq!(for_shell(word), word);
        }
        assert_eq!(for_shell("gam ma"), "'gam ma'");
        assert_eq!(for_shell("a;$b"), "'a;$b'");
        assert_eq!(for_shell("o'neill"), r"'o'\''neill'");
        assert_eq!(for_shell(""), "''");
    }

    #[test]
    fn a_place_that_cannot_be_used_is_said_by_what_is_in_the_way() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        std::fs::write(&file, "").expect("written");
        let why = |path: &Path| {
            let error = std::fs::write(path, "").expect_err("it cannot be written");
            Failure::at(path, "written", "name another --out")(error).to_string()
        };
        let missing = folder.path().join("no").join("where");
        assert_eq!(why(&missing.join("x")), format!("there is no folder {}; name another --out", missing.display()));
        for below in ["x", "x/y"] {
            let said = format!("{} is a file and no folder; name another --out", file.display());
            assert_eq!(why(&file.join(below)), said);
        }
        let said = why(folder.path());
        assert!(said.starts_with(&format!("{} cannot be written: ", folder.path().display())), "{said}");
        assert!(said.ends_with("; name another --out"), "{said}");
    }

    #[test]
    fn a_wrong_token_is_not_asked_for_once_more() {
        let unknown = || Box::new(Problem::new(ProblemKind::Unauthenticated, "send a token"));
        let none = Failure::from(ClientError::Refused(unknown()));
        assert!(none.to_string().contains("--token-file FILE"), "{none}");
        let wrong = Failure::from(ClientError::UnknownToken { from: "w.token".to_owned(), problem: unknown() });
        assert!(wrong.to_string().contains("the token in w.token is not known there"), "{wrong}");
        assert!(!wrong.to_string().contains("--token-file"), "{wrong}");
        assert_eq!((none.code, wrong.code), (Code::Refused, Code::Refused));
    }
}
