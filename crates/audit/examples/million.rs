//! Figures of a large log: how fast it is written, proven, exported and verified.
//!
//! `cargo run --release --example million -p tacit-audit -- [ENTRIES]`: 1,000,000 by default, in a temporary folder, with
//! the shipped durability.

use std::io::{BufRead, BufReader, Write};
use std::sync::Arc;
use std::time::Instant;

use tacit_accord::log::export::Verifier;
use tacit_accord::log::{Hash, Kind, verify_inclusion};
use tacit_audit::{AuditLog, AuditSetup, facts};
use tacit_model::SystemClock;
use tacit_pki::Identity;
use tacit_store::Store;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let entries = match std::env::args().nth(1) {
        Some(text) => text.parse()?,
        None => 1_000_000,
    };
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run(entries))
}

async fn run(entries: u64) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("tacit.db");
    let store = Store::open(path.to_str().unwrap_or_default()).await?;
    let log = AuditLog::open(AuditSetup {
        store: store.clone(),
        node: Arc::new(Identity::generate("node", time::OffsetDateTime::UNIX_EPOCH)?),
        clock: Arc::new(SystemClock),
        software: "tacit".to_owned(),
        parameters: Vec::new(),
    })
    .await?;
    let start = Instant::now();
    for number in 0..entries {
        log.note(
            Kind::Session,
            facts([
                ("group", "1".to_owned()),
                ("run", "1".to_owned()),
                ("slot", number.to_string()),
                ("session", format!("{number:032x}")),
                ("state", "done".to_owned()),
            ]),
        );
        if number % 65_536 == 0 {
            log.flush().await?;
        }
    }
    log.flush().await?;
    let took = start.elapsed().as_secs_f64();
    println!("append: {entries} entries durable in {took:.1} s, {:.0} per s", entries as f64 / took);

    let head = log.checkpoint().await?.checkpoint;
    let mut times = Vec::new();
    const PROOFS: u64 = 1000;
    for round in 0..PROOFS {
        let seq = 1 + (round * 0x9e37_79b9) % head.size;
        let start = Instant::now();
        let proof = log.inclusion(seq, head.size).await?;
        times.push(start.elapsed().as_secs_f64() * 1000.0);
        let leaf = Hash(log.entries(seq, 1).await?.first().ok_or("an entry")?.leaf);
        verify_inclusion(&leaf, seq - 1, head.size, &proof, &head.root)?;
    }
    times.sort_by(f64::total_cmp);
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    println!(
        "inclusion proof, ms: median {:.2}, 90 % {:.2}, 99 % {:.2}, worst {:.2} of {PROOFS}",
        at(50),
        at(90),
        at(99),
        at(100)
    );
    let start = Instant::now();
    log.consistency(head.size / 3, head.size).await?;
    println!("consistency proof: {:.2} ms", start.elapsed().as_secs_f64() * 1000.0);

    let file = folder.path().join("log.jsonl");
    let start = Instant::now();
    let mut out = std::io::BufWriter::new(std::fs::File::create(&file)?);
    let mut export = log.export().await?;
    while let Some(lines) = export.next().await? {
        out.write_all(lines.as_bytes())?;
    }
    out.flush()?;
    println!("export: {:.1} s, {} MB", start.elapsed().as_secs_f64(), std::fs::metadata(&file)?.len() / 1_000_000);
    let start = Instant::now();
    let mut verifier = Verifier::new(Some(log.node()), Vec::new());
    let mut source = BufReader::with_capacity(1 << 20, std::fs::File::open(&file)?);
    let mut line = Vec::new();
    while source.read_until(b'\n', &mut line)? > 0 {
        verifier.line(&line)?;
        line.clear();
    }
    let report = verifier.finish()?;
    println!("verify: {} entries in {:.1} s", report.checkpoint.size, start.elapsed().as_secs_f64());
    println!("database: {} MB", std::fs::metadata(&path)?.len() / 1_000_000);
    Ok(())
}
