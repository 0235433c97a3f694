use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tacit_accord::log::export::SIGNED_EVERY;
use tacit_accord::log::{Checkpoint, Entry, Kind, ProofPlan, Tree, leaf_hash};
use tacit_model::{Clock, Fingerprint};
use tacit_pki::{Identity, PublicKey};
use tacit_store::{LogBatch, LogHead, LogNode, LogRow, NewEntry, Store, StoreError, What};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::AuditError;
use crate::proof::read;

/// Entries of one batch.
const BATCH: usize = 4096;
/// How long entries that nobody waits for gather.
const GATHER: Duration = Duration::from_millis(200);
/// Bytes of one batch, counted in texts of entries; one entry may be longer.
const BATCH_BYTES: usize = 2 << 20;
/// Old entries that are carried over at once.
const CARRIED: u32 = 1000;

/// What a log is made of.
pub struct AuditSetup {
    /// Rows.
    pub store: Store,
    /// The node: it signs the head.
    pub node: Arc<Identity>,
    /// Time of entries.
    pub clock: Arc<dyn Clock>,
    /// Name and version of the program; the first entry of each start.
    pub software: String,
    /// Settings of the node that are logged with it, as `(name, value)`.
    pub parameters: Vec<(String, String)>,
}

/// A node's log. Clones are handles to the same one.
#[derive(Clone)]
pub struct AuditLog {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) node: Arc<Identity>,
    clock: Arc<dyn Clock>,
    queue: mpsc::UnboundedSender<Order>,
    size: watch::Receiver<u64>,
}

/// A signed head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The signed note.
    pub note: String,
    /// What it says.
    pub checkpoint: Checkpoint,
}

/// An entry (or none, to wait for those before it), and who waits for it.
struct Order {
    entry: Option<NewEntry>,
    /// Whether the batch is written at once because of it.
    urgent: bool,
    reply: Option<oneshot::Sender<Result<u64, AuditError>>>,
}

impl AuditLog {
    /// Opens the log, checks that its signed head is the root over what is stored, takes over what an older version
    /// logged, and logs the start of the program.
    ///
    /// Must be called inside a Tokio runtime. Two logs over one store (replicas) take turns.
    pub async fn open(setup: AuditSetup) -> Result<Self, AuditError> {
        let AuditSetup { store, node, clock, software, parameters } = setup;
        let tree = stored_tree(&store).await?;
        if let Some(head) = store.log_head(0).await? {
            let signed = Checkpoint::unverified(&head.note)?;
            if (signed.size, signed.root) != (tree.size(), tree.root()) && store.kind() == "sqlite" {
                return Err(AuditError::Damaged("its signed head is not the root over its entries".to_owned()));
            }
        }
        let (queue, orders) = mpsc::unbounded_channel();
        let (grown, size) = watch::channel(tree.size());
        tokio::spawn(Writer { store: store.clone(), node: Arc::clone(&node), tree, grown }.serve(orders));
        let log = Self { inner: Arc::new(Inner { store, node, clock, queue, size }) };
        log.carry_over().await?;
        log.append(Kind::Software, facts([("software", software)])).await?;
        if !parameters.is_empty() {
            let facts = parameters.into_iter().map(|(name, value)| (name, Value::String(value))).collect();
            log.append(Kind::Parameter, facts).await?;
        }
        Ok(log)
    }

    /// Appends an entry; its number, from 1, once it is durable and the signed head covers it.
    pub async fn append(&self, kind: Kind, facts: Map<String, Value>) -> Result<u64, AuditError> {
        self.append_at_pace(kind, facts, true).await
    }

    /// The same for what may take some 200 ms: entries that come meanwhile share its batch, signature and sync.
    pub async fn append_later(&self, kind: Kind, facts: Map<String, Value>) -> Result<u64, AuditError> {
        self.append_at_pace(kind, facts, false).await
    }

    async fn append_at_pace(&self, kind: Kind, facts: Map<String, Value>, urgent: bool) -> Result<u64, AuditError> {
        let (reply, answer) = oneshot::channel();
        let entry = self.entry(kind, facts)?;
        self.order(Order { entry: Some(entry), urgent, reply: Some(reply) })?;
        answer.await.map_err(|_| AuditError::Closed)?
    }

    /// Appends an entry without waiting: it is durable some 200 ms later. If it cannot be kept, the program's own log
    /// says so.
    pub fn note(&self, kind: Kind, facts: Map<String, Value>) {
        let noted = self
            .entry(kind, facts)
            .and_then(|entry| self.order(Order { entry: Some(entry), urgent: false, reply: None }));
        if let Err(error) = noted {
            tracing::error!(%error, kind = kind.name(), "an entry of the audit log was lost");
        }
    }

    /// Waits until everything that was noted is durable.
    pub async fn flush(&self) -> Result<(), AuditError> {
        let (reply, answer) = oneshot::channel();
        self.order(Order { entry: None, urgent: true, reply: Some(reply) })?;
        answer.await.map_err(|_| AuditError::Closed)?.map(drop)
    }

    /// The node whose log it is.
    pub fn node(&self) -> Fingerprint {
        self.inner.node.fingerprint()
    }

    /// Its key.
    pub fn key(&self) -> &PublicKey {
        self.inner.node.public_key()
    }

    /// How many entries there are, as far as this process wrote them; changes when it writes more.
    pub fn grown(&self) -> watch::Receiver<u64> {
        self.inner.size.clone()
    }

    /// At most `max` entries from number `from` (counted from 1) on.
    pub async fn entries(&self, from: u64, max: u32) -> Result<Vec<LogRow>, AuditError> {
        Ok(self.inner.store.log_entries(i64::try_from(from).unwrap_or(i64::MAX), max).await?)
    }

    /// The same for one answer: fewer where they are long, but one always; and whether there may be more.
    pub async fn page(&self, from: u64, max: u32) -> Result<(Vec<LogRow>, bool), AuditError> {
        Ok(self.inner.store.log_page(i64::try_from(from).unwrap_or(i64::MAX), max).await?)
    }

    /// The head of the log, signed by this node.
    pub async fn checkpoint(&self) -> Result<Signed, AuditError> {
        let store = &self.inner.store;
        if let Some(head) = store.log_head(0).await?
            && let Ok(checkpoint) = Checkpoint::open(&head.note, self.key())
        {
            return Ok(Signed { note: head.note, checkpoint });
        }
        // Empty, or the last entry was written by another replica.
        let checkpoint = Checkpoint::new(&self.node(), &stored_tree(store).await?);
        Ok(Signed { note: checkpoint.sign(&self.inner.node)?, checkpoint })
    }

    fn entry(&self, kind: Kind, facts: Map<String, Value>) -> Result<NewEntry, AuditError> {
        let at = self.inner.clock.now();
        let body = Entry { at, node: self.node(), kind, facts }.body()?.into_bytes();
        Ok(NewEntry { kind: kind.name().to_owned(), leaf: leaf_hash(&body).0, body, at })
    }

    fn order(&self, order: Order) -> Result<(), AuditError> {
        self.inner.queue.send(order).map_err(|_| AuditError::Closed)
    }

    /// Takes the entries of the hash chain of the first version over, once; they become the first entries.
    async fn carry_over(&self) -> Result<(), AuditError> {
        let store = &self.inner.store;
        loop {
            let size = store.log_size().await?;
            let old = store.log_before_merkle(size + 1, CARRIED).await?;
            if old.is_empty() {
                return Ok(());
            }
            for entry in old {
                let entry =
                    NewEntry { kind: entry.kind, leaf: leaf_hash(&entry.body).0, body: entry.body, at: entry.at };
                self.order(Order { entry: Some(entry), urgent: false, reply: None })?;
            }
            self.flush().await?;
            if store.log_size().await? == size {
                return Err(AuditError::Damaged(
                    "the entries of the version before could not be taken over".to_owned(),
                ));
            }
        }
    }
}

/// Facts of an entry, as texts.
pub fn facts<'a>(facts: impl IntoIterator<Item = (&'a str, String)>) -> Map<String, Value> {
    facts.into_iter().map(|(name, fact)| (name.to_owned(), Value::String(fact))).collect()
}

/// The tree over what is stored.
pub(crate) async fn stored_tree(store: &Store) -> Result<Tree, AuditError> {
    let size = store.log_size().await?;
    let plan = ProofPlan::peaks(size);
    let peaks = plan.finish(&read(store, &plan).await?)?;
    Tree::from_peaks(size, peaks).ok_or_else(|| AuditError::Damaged("a subtree is missing".to_owned()))
}

/// The one that appends.
struct Writer {
    store: Store,
    node: Arc<Identity>,
    /// Over what is durable.
    tree: Tree,
    grown: watch::Sender<u64>,
}

impl Writer {
    async fn serve(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        while let Some(first) = orders.recv().await {
            let mut bytes = 0;
            let mut urgent = false;
            let mut batch = Vec::new();
            let mut next = Some(first);
            let due = Instant::now() + GATHER;
            while let Some(order) = next {
                bytes += order.entry.as_ref().map_or(0, |entry| entry.body.len());
                urgent |= order.urgent;
                batch.push(order);
                next = match batch.len() < BATCH && bytes < BATCH_BYTES {
                    false => None,
                    true if urgent => orders.try_recv().ok(),
                    true => tokio::time::timeout_at(due, orders.recv()).await.ok().flatten(),
                };
            }
            let (entries, replies): (Vec<_>, Vec<_>) = batch.into_iter().map(|o| (o.entry, o.reply)).unzip();
            let counts: Vec<bool> = entries.iter().map(Option::is_some).collect();
            let first = self.write(entries.into_iter().flatten().collect()).await;
            if let Err(error) = &first {
                tracing::error!(%error, "entries of the audit log could not be written");
            }
            let mut seq = first.clone();
            for (counts, reply) in counts.into_iter().zip(replies) {
                if let Some(reply) = reply {
                    // Nobody may be waiting any more; the entry is there all the same.
                    let _gone = reply.send(seq.clone());
                }
                if let (true, Ok(seq)) = (counts, &mut seq) {
                    *seq += 1;
                }
            }
        }
    }

    /// The number of the first entry.
    async fn write(&mut self, entries: Vec<NewEntry>) -> Result<u64, AuditError> {
        if entries.is_empty() {
            return Ok(self.tree.size() + 1);
        }
        loop {
            let (tree, batch) = self.batch(entries.clone())?;
            let first = batch.after + 1;
            match self.store.log_append(batch).await {
                Ok(()) => {
                    self.tree = tree;
                    self.grown.send_replace(self.tree.size());
                    return Ok(first);
                }
                // Another replica appended in between: go on from there.
                Err(StoreError::Conflict { what: What::LogHead }) => self.tree = stored_tree(&self.store).await?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// What the entries make of the tree: subtrees to keep, the heads of full blocks, the newest head.
    fn batch(&self, entries: Vec<NewEntry>) -> Result<(Tree, LogBatch), AuditError> {
        let mut tree = self.tree.clone();
        let (mut nodes, mut blocks) = (Vec::new(), Vec::new());
        for entry in &entries {
            tree.append(tacit_accord::log::Hash(entry.leaf), |node| {
                nodes.push(LogNode { level: node.level, place: node.index, hash: node.hash.0 });
            });
            if tree.size().is_multiple_of(SIGNED_EVERY) {
                blocks.push((tree.size() / SIGNED_EVERY, self.head(&tree)?));
            }
        }
        let newest = match blocks.last() {
            Some((_, head)) if head.size == tree.size() => head.clone(),
            _ => self.head(&tree)?,
        };
        let batch = LogBatch { after: self.tree.size(), entries, nodes, blocks, newest };
        Ok((tree, batch))
    }

    fn head(&self, tree: &Tree) -> Result<LogHead, AuditError> {
        let note = Checkpoint::new(&self.node.fingerprint(), tree).sign(&self.node)?;
        Ok(LogHead { size: tree.size(), note })
    }
}
