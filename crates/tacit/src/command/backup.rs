//! `tacit backup`: a copy of a node's folder without inputs.

use std::fs::{File, Permissions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::print;
use crate::config::{DataFolder, NodeConfig};
use crate::kept_file::if_possible;
use crate::output::Failure;

/// Copy a node's configuration, keys and database, also while it runs. Rows that wait and samples of series stay out.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  tacit backup --data ./node --to /var/backups/tacit/2026-11-21\n\n\
    The copy holds private keys and results: keep it as you keep the node's folder. To restore, stop the node, put the copy \
    in the folder's place and start it; docs/operate.md says what an old copy forgets.")]
pub(crate) struct Backup {
    /// The node's data folder.
    #[arg(long, value_name = "DIR", env = "TACIT_DATA")]
    data: PathBuf,
    /// A folder that is not there yet.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Backup {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let (from, to) = (DataFolder(self.data), DataFolder(self.to));
        // `tacit p2ds` has its settings on the command line.
        let config = if from.config().exists() { NodeConfig::read(&from.config())? } else { NodeConfig::default() };
        let keys = std::fs::read_dir(from.keys())
            .map_err(|e| Failure::usage(format!("{} is no node's folder: {e}", from.0.display())))?;
        if !config.store.starts_with("sqlite:") {
            return Err(Failure::usage(
                "this node keeps its rows in PostgreSQL: docs/operate.md, \"Backup\", says how to copy them without inputs",
            ));
        }
        // The copy is started with the same node.toml.
        let database = Path::new(config.store.trim_start_matches("sqlite:"));
        if !database.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
            return Err(Failure::usage(format!(
                "`store` in node.toml names {}, outside of the node's folder: a copy of the folder would use the same file; \
                 name one inside, move the database there, and start the node again first",
                database.display()
            )));
        }
        let Some(name) = to.0.file_name().filter(|_| !to.0.exists()) else {
            return Err(Failure::usage(format!(
                "--to {}: choose a folder that does not exist yet, or delete this one if it is an incomplete copy",
                to.0.display()
            )));
        };
        let above = to.0.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(above).map_err(Failure::at(above, "made", ELSEWHERE))?;
        // Half of a copy starts as a node, too: an empty one with the old keys. Dropped, it goes; killed, its name says it.
        let mut begun = name.to_owned();
        begun.push(".incomplete-");
        let half = tempfile::Builder::new().prefix(&begun).permissions(Permissions::from_mode(0o700)).tempdir_in(above);
        let half = half.map_err(Failure::at(above, "written to", ELSEWHERE))?;
        let copied = copy_node(&from, &config, keys, &DataFolder(half.path().to_owned()), database).await;
        copied.map_err(|failure| failure.about(&format!("--to {} was not made", to.0.display())))?;
        std::fs::rename(half.path(), &to.0).map_err(Failure::at(&to.0, "made", ELSEWHERE))?;
        // It has another name now.
        let _renamed = half.keep();
        sync_folder(above)?;
        print(self.json, &json!({ "to": to.0 }), |_| {
            format!(
                "{} holds the configuration, the keys and the database\n\
                 rows that wait and samples of series are not in it: which to hand in again after a restore, and which not, says \
                 docs/operate.md, \"Restoring\"",
                to.0.display()
            )
        })
    }
}

/// What to do where the copy cannot be written.
const ELSEWHERE: &str = "make room or choose another folder with --to, and run the command again";

/// Into a folder that is empty; durable.
async fn copy_node(
    from: &DataFolder,
    config: &NodeConfig,
    keys: std::fs::ReadDir,
    to: &DataFolder,
    database: &Path,
) -> Result<(), Failure> {
    let folder = |path: &Path| {
        let made = std::fs::DirBuilder::new().mode(0o700).recursive(true).create(path);
        made.map_err(Failure::at(path, "made", ELSEWHERE))
    };
    folder(&to.keys())?;
    if from.config().exists() {
        copy(&from.config(), &to.config())?;
    }
    for file in keys {
        let file = file.map_err(Failure::at(&from.keys(), "listed", UNREADABLE))?;
        copy(&file.path(), &to.keys().join(file.file_name()))?;
    }
    let copied = to.0.join(database);
    let above = copied.parent().unwrap_or(&to.0);
    folder(above)?;
    tacit_store::backup(&config.store_url(&from.0), &copied).await?;
    sync_folder(&to.keys())?;
    // `store` may name a file in folders inside.
    above.ancestors().take_while(|inner| inner.starts_with(&to.0)).try_for_each(sync_folder)
}

/// What to do where the node's folder cannot be read.
const UNREADABLE: &str = "run the command as the user whose node it is";

/// With the same mode, whatever the umask says; durable.
fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    let read = Failure::at(from, "read", UNREADABLE);
    let mut original = File::open(from).map_err(&read)?;
    let mode = original.metadata().map_err(&read)?.permissions().mode();
    let mut write = || {
        let mut copy = File::options().write(true).create_new(true).mode(mode).open(to)?;
        std::io::copy(&mut original, &mut copy)?;
        copy.set_permissions(Permissions::from_mode(mode))?;
        copy.sync_all()
    };
    write().map_err(Failure::at(to, "written", ELSEWHERE))
}

/// What is in the folder is found there after a power cut, too.
fn sync_folder(folder: &Path) -> Result<(), Failure> {
    let synced = File::open(folder).and_then(|opened| if_possible(opened.sync_all()));
    synced.map_err(Failure::at(folder, "made durable", ELSEWHERE))
}
