//! The owner's token: written once into the data folder, its hash kept in the database.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use tacit_model::api::Role;
use tacit_model::{Fingerprint, UnixMillis};
use tacit_pki::token::ApiToken;
use tacit_store::{Store, StoreError, What};

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
    write(&path, &token)
}

/// Makes sure that there is an owner token in the data folder of one of several gateways. Its hash becomes known when
/// this gateway leads: see [`make_known`].
pub(crate) fn ensure_file(data: &DataFolder) -> Result<(), Failure> {
    let path = data.owner_token();
    if path.exists() { Ok(()) } else { write(&path, &ApiToken::generate()?) }
}

/// Keeps the hash of the owner token of this data folder, if it is not kept yet; one that was revoked stays so.
pub(crate) async fn make_known(data: &DataFolder, store: &Store, now: UnixMillis) -> Result<(), Failure> {
    let token = ApiToken::parse(std::fs::read_to_string(data.owner_token())?.trim())?;
    let hash: Fingerprint = token.hash().to_string().parse()?;
    if store.token(hash.0).await?.is_some() {
        return Ok(());
    }
    match store.put_token(hash.0, Role::Owner.word(), "owner", "{}", now).await {
        Ok(()) | Err(StoreError::Conflict { what: What::Token }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn write(path: &std::path::Path, token: &ApiToken) -> Result<(), Failure> {
    let mut file = std::fs::File::options().create_new(true).write(true).mode(0o400).open(path)?;
    file.write_all(token.expose_text().as_bytes())?;
    file.write_all(b"\n")?;
    Ok(file.sync_all()?)
}
