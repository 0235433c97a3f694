//! `tacit`: one program, every role.

mod bench;
mod cli;
mod command;
mod config;
mod connection;
mod demo;
mod discovery;
mod edge;
mod kept_file;
mod negotiating;
mod node;
mod output;
mod own_log;
mod p2ds;
mod process;
mod pulling;
mod replicated;
mod retention;
mod scenario;
mod serve;
mod token;
mod up;
mod webhooks;
mod wizard;

use std::process::ExitCode;

/// Sessions allocate much and small, and the threads of the database free what others allocated.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Makes the allocator keep pages of freed buffers: without it the first large messages of a session
    // spend most of their time in page faults (docs/benchmarks.md).
    drop(std::hint::black_box(vec![0_u8; 31 << 20]));
    let cli = match cli::parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _printed = error.print();
            let code = if error.use_stderr() { 2 } else { 0 };
            return ExitCode::from(code);
        }
    };
    match cli::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
