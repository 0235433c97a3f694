//! The owner's token: written once into the data folder, its hash kept in the database.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use tacit_model::UnixMillis;
use tacit_model::api::Role;
use tacit_store::Store;

use crate::config::DataFolder;
use crate::output::Failure;

/// Makes sure that there is an owner token: `keys/owner.token`, readable by its owner only.
pub(crate) async fn ensure_owner(data: &DataFolder, store: &Store, now: UnixMillis) -> Result<(), Failure> {
    let path = data.owner_token();
    if path.exists() {
        return Ok(());
    }
    // First the hash: a token that is written but unknown would lock the owner out.
    let token = tacit_api::issue_token(store, Role::Owner, "owner", now).await?;
    let mut file = std::fs::File::options().create_new(true).write(true).mode(0o400).open(&path)?;
    file.write_all(token.expose_text().as_bytes())?;
    file.write_all(b"\n")?;
    Ok(file.sync_all()?)
}
