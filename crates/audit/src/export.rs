//! The log as one file: see `tacit_accord::log::export` for the form.

use std::collections::VecDeque;

use tacit_accord::log::export::{SIGNED_EVERY, checkpoint_line, cosigned_line, entry_line, header_line, signed_after};
use tacit_accord::log::{Checkpoint, Entry, Hash};
use tacit_pki::PublicKey;

use crate::{AuditError, AuditLog};

/// Most entries that are read at once.
const PAGE: u32 = 512;

/// The lines of an export, read as they are asked for; memory does not grow with the log.
pub struct Export {
    log: AuditLog,
    entries: u64,
    next: u64,
    lines: VecDeque<String>,
}

impl AuditLog {
    /// An export of what the log holds now. What is appended meanwhile is not in it.
    pub async fn export(&self) -> Result<Export, AuditError> {
        let head = self.checkpoint().await?;
        let entries = head.checkpoint.size;
        let last = self.inner.store.log_notable("software", entries.saturating_add(1), 1).await?;
        let software = last.first().map(|row| serde_json::from_slice::<Entry>(&row.body));
        let software = software.transpose().map_err(|e| AuditError::Damaged(e.to_string()))?;
        let software = software.and_then(|entry| entry.facts.get("software")?.as_str().map(str::to_owned));
        let mut lines = VecDeque::new();
        lines.push_back(header_line(self.key(), &software.unwrap_or_default())?);
        lines.push_back(checkpoint_line(&head.note)?);
        for row in self.inner.store.cosignatures().await? {
            let witness = PublicKey::from_base64(&row.witness_key).map_err(|e| AuditError::Damaged(e.to_string()))?;
            // Those of other replicas' heads belong into the exports of those.
            if row.size <= entries && Checkpoint::open(&row.note, self.key()).is_ok() {
                lines.push_back(cosigned_line(&row.note, &witness)?);
            }
        }
        Ok(Export { log: self.clone(), entries, next: 1, lines })
    }
}

impl Export {
    /// The next lines, each with its newline; nothing at the end.
    pub async fn next(&mut self) -> Result<Option<String>, AuditError> {
        if self.lines.is_empty() && self.next <= self.entries {
            self.read().await?;
        }
        Ok(match self.lines.is_empty() {
            true => None,
            false => Some(self.lines.drain(..).collect()),
        })
    }

    async fn read(&mut self) -> Result<(), AuditError> {
        let left = u32::try_from(self.entries - self.next + 1).unwrap_or(PAGE).min(PAGE);
        let (rows, _) = self.log.page(self.next, left).await?;
        if rows.is_empty() {
            return Err(AuditError::Damaged(format!("entry {} is missing", self.next)));
        }
        for row in rows {
            let body =
                String::from_utf8(row.body).map_err(|_| AuditError::Damaged("an entry is no text".to_owned()))?;
            self.lines.push_back(entry_line(self.next, &Hash(row.leaf), &body));
            if signed_after(self.next, self.entries) {
                let head = self.log.inner.store.log_head(self.next / SIGNED_EVERY).await?;
                let head = head.ok_or_else(|| AuditError::Damaged("a signed head is missing".to_owned()))?;
                self.lines.push_back(checkpoint_line(&head.note)?);
            }
            self.next += 1;
        }
        Ok(())
    }
}
