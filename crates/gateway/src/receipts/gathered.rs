//! A statement and the signatures under it, as members' parts come in.

use std::collections::BTreeMap;
use std::sync::Arc;

use tacit_accord::Consensus;
use tacit_accord::log::Hash;
use tacit_accord::receipt::{ReceiptSignature, Statement, contributors_root};
use tacit_model::Fingerprint;

use super::Debt;

/// What a member's part said: the leaf of its contribution, or that it has none.
pub(super) type Heard = Option<Hash>;

/// What the parts of a session make together.
pub(super) struct Gathered {
    pub(super) statement: Statement,
    pub(super) text: String,
    pub(super) signatures: BTreeMap<Fingerprint, ReceiptSignature>,
    pub(super) leaves: Vec<Hash>,
}

impl Gathered {
    /// A statement about what is owed, under a consensus of the group, by its computing members, whose root is the
    /// one over the leaves.
    pub(super) fn new(debt: &Debt, chain: &[Arc<Consensus>], text: String, leaves: &[String]) -> Option<Self> {
        let statement: Statement = serde_json::from_str(&text).ok()?;
        let leaves = leaves.iter().map(|leaf| leaf.parse().ok()).collect::<Option<Vec<Hash>>>()?;
        let consensus = chain.iter().find(|known| known.id() == statement.consensus)?;
        statement.check_charter(consensus.id(), consensus.charter()).ok()?;
        let place = (statement.session, statement.group, statement.run, statement.slot);
        let same = statement.text().ok()? == text
            && place == (debt.session, debt.group, debt.run, debt.slot)
            && statement.contributors.count == leaves.len() as u64
            && statement.contributors.root == contributors_root(&leaves).to_string();
        same.then_some(Self { statement, text, signatures: BTreeMap::new(), leaves })
    }

    /// A signature, if it is this member's and holds.
    pub(super) fn sign(&mut self, member: Fingerprint, signature: ReceiptSignature) {
        if self.statement.signer_of(&self.text, &signature) == Ok(member) {
            self.signatures.insert(member, signature);
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.signatures.len() >= self.statement.quorum()
    }
}
