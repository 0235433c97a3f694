//! The command line. Each command's flags live beside its code; this file is the list of them.

use std::io::{IsTerminal as _, Write as _};

use clap::builder::StyledStr;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::command;
use crate::output::Failure;

/// Compute a common result over data that nobody shows.
#[derive(Parser, Debug)]
#[command(name = "tacit", version, propagate_version = true, arg_required_else_help = true)]
#[command(
    after_help = "Start with:\n  tacit demo      three organisations add up a day of attack counts\n  tacit up        the same three, staying up\n\nExit codes: 0 done, 2 wrong usage, 3 refused, 4 unreachable, 1 anything else."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Demo(crate::demo::Demo),
    Up(crate::up::Up),
    Init(command::init::Init),
    Serve(crate::serve::Serve),
    Join(command::join::Join),
    Group(command::group::Group),
    Pair(command::pair::Pair),
    Negotiation(command::negotiation::Negotiation),
    Peer(command::peer::Peer),
    Policy(command::policy::Policy),
    Source(command::source::Source),
    Task(command::task::Task),
    Audit(command::log::Audit),
    Receipt(command::receipt::Receipt),
    Token(command::token::Token),
    Key(command::key::Key),
    P2ds(crate::p2ds::P2ds),
    Backup(command::backup::Backup),
    Bench(crate::bench::Bench),
}

/// Reads the command line. A command without examples of its own shows those of the command above it.
pub(crate) fn parse() -> Result<Cli, clap::Error> {
    let command = with_examples(Cli::command(), None);
    Cli::from_arg_matches(&command.try_get_matches()?)
}

fn with_examples(command: clap::Command, above: Option<&StyledStr>) -> clap::Command {
    let command = match (command.get_after_help(), above) {
        (None, Some(examples)) => command.clone().after_help(examples.clone()),
        _ => command,
    };
    let examples = command.get_after_help().cloned();
    command.mut_subcommands(|sub| with_examples(sub, examples.as_ref()))
}

/// What is logged: `TACIT_LOG`, or warnings. A filter that cannot be meant is said to be none.
fn log_filter() -> EnvFilter {
    const USUAL: &str = "warn";
    let given = std::env::var("TACIT_LOG").unwrap_or_default();
    if given.is_empty() {
        return EnvFilter::new(USUAL);
    }
    // Asked first: of a level that was not built in, the filter tells people how to build programs.
    match given.split(',').all(meant).then(|| EnvFilter::try_new(&given)) {
        Some(Ok(filter)) => filter,
        _ => {
            let text = format!(
                "tacit: TACIT_LOG={given:?} is not understood, {USUAL} is taken; say a level, off, error, warn, info or \
                 debug, or parts with levels, such as warn,tacit_party=debug"
            );
            let _read = writeln!(std::io::stderr(), "{text}");
            EnvFilter::new(USUAL)
        }
    }
}

/// Whether a part of a filter can be meant. A bare word is a level or one of our rooms: of any other word the filter would
/// let nothing through.
fn meant(part: &str) -> bool {
    let word = part.trim();
    let level = word.rsplit('=').next().unwrap_or(word).trim().parse::<LevelFilter>();
    match level {
        Ok(level) => level <= LevelFilter::DEBUG,
        Err(_) => word.contains(['=', '[']) || word.is_empty() || word.starts_with("tacit"),
    }
}

/// Runs a command to its end on one thread; see ARCHITECTURE.md for why one.
pub(crate) fn run(cli: Cli) -> Result<(), Failure> {
    tracing_subscriber::fmt()
        .with_env_filter(log_filter())
        .with_writer(std::io::stderr)
        // A reader of the log that has gone must not matter to a node.
        .log_internal_errors(false)
        // Colours are for people: a log file or a journal holds plain text.
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty()))
        .init();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match cli.command {
            Command::Demo(demo) => demo.run().await,
            Command::Up(up) => up.run().await,
            Command::Init(init) => init.run(),
            Command::Serve(serve) => serve.run().await,
            Command::Join(join) => join.run().await,
            Command::Group(group) => group.run().await,
            Command::Pair(pair) => pair.run().await,
            Command::Negotiation(negotiation) => negotiation.run().await,
            Command::Peer(peer) => peer.run().await,
            Command::Policy(policy) => policy.run().await,
            Command::Source(source) => source.run().await,
            Command::Task(task) => task.run().await,
            Command::Audit(audit) => audit.run().await,
            Command::Receipt(receipt) => receipt.run().await,
            Command::Token(token) => token.run().await,
            Command::Key(key) => key.run(),
            Command::P2ds(p2ds) => p2ds.run().await,
            Command::Backup(backup) => backup.run().await,
            Command::Bench(bench) => bench.run().await,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_that_is_not_built_in_is_none_and_nobody_is_told_how_to_build_programs() {
        for part in
            ["info", "off", " DEBUG ", "tacit_party=debug", "tacit_link", "openraft=off", "tacit[span]=info", ""]
        {
            assert!(meant(part), "{part}");
        }
        for part in ["trace", "TRACE", "tacit_party=trace", "loud"] {
            assert!(!meant(part), "{part}");
        }
    }
}
