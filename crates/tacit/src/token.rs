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

/// Makes sure that there is an owner token in the data folder of one of several gateways; its hash. It becomes known when
/// this gateway leads: see [`make_known`]. Read now, so that nobody is elected who cannot read it.
pub(crate) fn ensure_file(data: &DataFolder) -> Result<Fingerprint, Failure> {
    let path = data.owner_token();
    if !path.exists() {
        write(&path, &ApiToken::generate()?)?;
    }
    hash_of(&path).map_err(|failure| failure.about(&path.display().to_string()))
}

fn hash_of(path: &std::path::Path) -> Result<Fingerprint, Failure> {
    let token = ApiToken::parse(std::fs::read_to_string(path)?.trim())?;
    Ok(token.hash().to_string().parse()?)
}

/// Keeps the hash of an owner token, if it is not kept yet; one that was revoked stays so.
pub(crate) async fn make_known(hash: Fingerprint, store: &Store, now: UnixMillis) -> Result<(), Failure> {
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
