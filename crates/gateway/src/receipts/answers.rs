//! "Did my data count?": what each contributor, and nobody else, hears; also when it was away as the receipt was issued.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tacit_accord::log::{Hash, ProofPlan, Tree};
use tacit_job::{Awaited, Own, ToPeer};
use tacit_model::{Fingerprint, GroupId, UnixMillis};
use tacit_store::ReceiptRow;

use super::{Debt, Gathered, Heard, Terms};
use crate::{Gateway, GatewayError};

/// So many receipts are answered for at a time.
const MOST: u32 = 256;

/// Kept beside the gateway's copy of a receipt. Leaves tell nothing to who does not know the commitments.
#[derive(Serialize, Deserialize)]
pub(super) struct Answers {
    /// To whom the receipt goes.
    holders: Vec<Fingerprint>,
    /// Who could have given data.
    offered: Vec<Fingerprint>,
    /// Whose data was to go in.
    asked: Vec<Fingerprint>,
    /// Contributors' leaves, hexadecimal, in order.
    leaves: Vec<String>,
    /// The same as hashes, where they were at hand.
    #[serde(skip)]
    hashes: Vec<Hash>,
    /// Whether each leaf was named by a member: then who named none is not in.
    whole: bool,
}

impl Answers {
    pub(super) fn new(gathered: &Gathered, heard: &BTreeMap<Fingerprint, Heard>, terms: &Terms) -> Self {
        let named: BTreeSet<[u8; 32]> = heard.values().flatten().map(|leaf| leaf.0).collect();
        let holders: BTreeSet<Fingerprint> = terms.members.iter().chain(&terms.offered).copied().collect();
        Self {
            holders: holders.into_iter().collect(),
            offered: terms.offered.clone(),
            asked: terms.asked.clone(),
            leaves: gathered.leaves.iter().map(Hash::to_string).collect(),
            hashes: gathered.leaves.clone(),
            whole: gathered.leaves.iter().all(|leaf| named.contains(&leaf.0)),
        }
    }

    pub(super) fn holders(&self) -> &[Fingerprint] {
        &self.holders
    }

    /// What a member hears of its own contribution; `heard` is what it said, if it said something.
    pub(super) fn own_of(&self, member: &Fingerprint, heard: Option<&Heard>) -> Result<Own, GatewayError> {
        let rejected = |reason: &str| Ok(Own::Rejected { reason: reason.to_owned() });
        if !self.offered.contains(member) {
            return Ok(Own::Nothing);
        }
        if let Some(leaf) = heard.and_then(Option::as_ref).map(Hash::to_string)
            && let Some(place) = self.leaves.iter().position(|other| *other == leaf)
        {
            let index = u64::try_from(place).unwrap_or(u64::MAX);
            return Ok(Own::Counted { index, proof: self.path(place)?.iter().map(Hash::to_string).collect() });
        }
        if !self.asked.contains(member) {
            return rejected("there was no row for this slot before it closed");
        }
        if heard.is_some() || self.whole {
            return rejected("its shares were not complete at every compute peer when the inputs were frozen");
        }
        // It may be in; it will ask.
        Ok(Own::Nothing)
    }

    /// The inclusion proof of a leaf among some that are all at hand.
    fn path(&self, place: usize) -> Result<Vec<Hash>, GatewayError> {
        let bug = |e: tacit_accord::log::ProofError| GatewayError::Bug(e.to_string());
        let read: Option<Vec<Hash>>;
        let leaves = if self.hashes.is_empty() {
            read = self.leaves.iter().map(|leaf| leaf.parse().ok()).collect();
            read.as_ref().ok_or_else(|| GatewayError::Bug("a leaf is no hash".to_owned()))?
        } else {
            &self.hashes
        };
        let plan = ProofPlan::inclusion(place as u64, leaves.len() as u64).map_err(bug)?;
        let mut spans = Vec::new();
        for span in plan.spans() {
            // Kept subtrees cover 256 leaves each, and those of them in turn.
            let width = 1_usize << span.level;
            let from = usize::try_from(span.from).unwrap_or(usize::MAX);
            let count = usize::try_from(span.count).unwrap_or(0);
            let subtree = |index: usize| {
                let mut tree = Tree::new();
                leaves[index * width..(index + 1) * width].iter().for_each(|leaf| tree.append(*leaf, drop));
                tree.root()
            };
            spans.push((from..from + count).map(subtree).collect());
        }
        plan.finish(&spans).map_err(bug)
    }
}

impl Gateway {
    /// A member is back and says which receipts it awaits. Those that there are go to it, also those that it does not
    /// know of; for those that are owed its part is asked for once more.
    pub(crate) async fn answer_awaited(
        &self,
        member: Fingerprint,
        group: GroupId,
        awaited: Vec<Awaited>,
        since: UnixMillis,
    ) -> Result<(), GatewayError> {
        if self.inner.directory.present(&member).is_none_or(|present| present.group != group) {
            return Ok(());
        }
        let store = &self.inner.store;
        let most = usize::try_from(MOST).unwrap_or(usize::MAX);
        let mut answered = BTreeSet::new();
        for awaited in awaited.into_iter().take(most) {
            answered.insert(awaited.session);
            if let Some(row) = store.receipt("", awaited.session).await? {
                let leaf: Heard = awaited.leaf.and_then(|leaf| leaf.parse().ok());
                self.send_receipt(member, group, row, Some(&leaf))?;
            } else if let Some(owed) = store.owed("", awaited.session).await? {
                // Either asks this member too.
                match self.inner.gathering.gathers(awaited.session) {
                    true => drop(self.inner.directory.send(&member, &ToPeer::PartWanted { session: awaited.session })),
                    false => self.pay_late(Debt::read(&owed)?),
                }
            }
        }
        for row in store.receipts_since("", group, since, MOST).await? {
            if !answered.contains(&row.session) {
                self.send_receipt(member, group, row, None)?;
            }
        }
        Ok(())
    }

    fn send_receipt(
        &self,
        member: Fingerprint,
        group: GroupId,
        row: ReceiptRow,
        heard: Option<&Heard>,
    ) -> Result<(), GatewayError> {
        // An older version kept no answers.
        let answers: Option<Answers> = row.own.and_then(|own| serde_json::from_str(&own).ok());
        let Some(answers) = answers.filter(|answers| row.gid == group && answers.holders.contains(&member)) else {
            return Ok(());
        };
        let own = answers.own_of(&member, heard)?;
        self.inner.directory.send(&member, &ToPeer::Receipt { session: row.session, receipt: row.body, own });
        Ok(())
    }
}
