//! The node: what it is, its receiver, its log, its tokens.

use tacit_model::api::{
    EvidenceBody, EvidenceLine, EvidenceList, IssuedToken, LogHead, LogPage, LogProof, NewCertificate, NewToken,
    NodeBody, ReceiptBody, ReceiptLine, ReceiptList, ReceivedBody, ReceivedList, ReceivedRow, TokenBody, TokenList,
};

use crate::{Client, ClientError, Pieces};

impl Client {
    /// The node.
    pub async fn node(&self) -> Result<NodeBody, ClientError> {
        self.call(self.get(&["node"])).await
    }

    /// Posts result rows; the same key counts once. Needs no token.
    pub async fn post_results(&self, rows: Vec<String>, idempotency_key: Option<&str>) -> Result<(), ClientError> {
        let mut request = self.post(&["receiver", "results"]);
        if let Some(key) = idempotency_key {
            request = request.header("idempotency-key", key);
        }
        self.order(request.json(&ReceivedBody { data: rows, peer_name: None })).await
    }

    /// Rows that were posted to the receiver, leaving out the first `from`.
    pub async fn received(&self, from: u64, max: u32) -> Result<Vec<ReceivedRow>, ClientError> {
        let request = self.get(&["receiver", "results"]).query(&[("from", from.to_string()), ("max", max.to_string())]);
        Ok(self.call::<ReceivedList>(request).await?.rows)
    }

    /// A part of the log, from an entry's number on.
    pub async fn log(&self, from: i64, max: u32) -> Result<LogPage, ClientError> {
        self.call(self.get(&["log"]).query(&[("from", from.to_string()), ("max", max.to_string())])).await
    }

    /// The signed head of the log.
    pub async fn log_checkpoint(&self) -> Result<LogHead, ClientError> {
        self.call(self.get(&["log", "checkpoint"])).await
    }

    /// The proof that the log of `from` entries is the beginning of the log of `size`.
    pub async fn log_consistency(&self, from: u64, size: u64) -> Result<LogProof, ClientError> {
        let query = [("from", from.to_string()), ("size", size.to_string())];
        self.call(self.get(&["log", "consistency"]).query(&query)).await
    }

    /// The whole log, piece by piece as it arrives.
    pub async fn log_export(&self) -> Result<Pieces, ClientError> {
        self.pieces(self.get(&["log", "export"])).await
    }

    /// The newest receipts of the gateway, or of a peer of this node.
    pub async fn receipts(&self, peer: Option<&str>) -> Result<Vec<ReceiptLine>, ClientError> {
        let request = match peer {
            Some(peer) => self.get(&["peers", peer, "receipts"]),
            None => self.get(&["receipts"]),
        };
        Ok(self.call::<ReceiptList>(request).await?.receipts)
    }

    /// The receipt of a session, of the gateway or of a peer of this node.
    pub async fn receipt(&self, session: &str, peer: Option<&str>) -> Result<ReceiptBody, ClientError> {
        self.call(match peer {
            Some(peer) => self.get(&["peers", peer, "receipts", session]),
            None => self.get(&["receipts", session]),
        })
        .await
    }

    /// Sessions in which a peer of this node convicted compute peers, newest first.
    pub async fn evidence(&self, peer: &str) -> Result<Vec<EvidenceLine>, ClientError> {
        Ok(self.call::<EvidenceList>(self.get(&["peers", peer, "evidence"])).await?.evidence)
    }

    /// What convicts them in one session.
    pub async fn evidence_of(&self, peer: &str, session: &str) -> Result<EvidenceBody, ClientError> {
        self.call(self.get(&["peers", peer, "evidence", session])).await
    }

    /// Issues a token.
    pub async fn issue_token(&self, new: &NewToken) -> Result<IssuedToken, ClientError> {
        self.call_with(self.post(&["tokens"]), new).await
    }

    /// Admits a client's certificate, which then does as well as a token.
    pub async fn admit_certificate(&self, new: &NewCertificate) -> Result<TokenBody, ClientError> {
        self.call_with(self.post(&["certificates"]), new).await
    }

    /// All tokens, without their texts.
    pub async fn tokens(&self) -> Result<Vec<TokenBody>, ClientError> {
        Ok(self.call::<TokenList>(self.get(&["tokens"])).await?.tokens)
    }

    /// Revokes a token by its id.
    pub async fn revoke_token(&self, id: &str) -> Result<(), ClientError> {
        self.order(self.delete(&["tokens", id])).await
    }

    /// The node's counters, in the text form of Prometheus.
    pub async fn metrics(&self) -> Result<String, ClientError> {
        self.text(self.get_plain("metrics")).await
    }
}
