//! `tacit backup`: a copy of a node's folder without inputs.

use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::print;
use crate::config::{DataFolder, NodeConfig};
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
        if let Some(above) = to.0.parent() {
            std::fs::create_dir_all(above)?;
        }
        let folder = |path: &Path| std::fs::DirBuilder::new().mode(0o700).create(path);
        folder(&to.0).map_err(|e| Failure::usage(format!("--to {}: {e}", to.0.display())))?;
        folder(&to.keys())?;
        if from.config().exists() {
            copy(&from.config(), &to.config())?;
        }
        for file in keys {
            let file = file?;
            copy(&file.path(), &to.keys().join(file.file_name()))?;
        }
        let copied = to.0.join(database);
        if let Some(above) = copied.parent() {
            std::fs::DirBuilder::new().mode(0o700).recursive(true).create(above)?;
        }
        tacit_store::backup(&config.store_url(&from.0), &copied).await?;
        print(self.json, &json!({ "to": to.0 }), |_| {
            format!("{} holds the configuration, the keys and the database, without inputs", to.0.display())
        })
    }
}

/// With the same mode, whatever the umask says; durable.
fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    let mode = std::fs::metadata(from)?.permissions().mode();
    let mut copy = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(to)?;
    std::io::copy(&mut std::fs::File::open(from)?, &mut copy)?;
    copy.set_permissions(std::fs::Permissions::from_mode(mode))?;
    Ok(copy.sync_all()?)
}
