//! Several questions to the rows at once.

use crate::db::{Conn, args};
use crate::{Store, StoreError};

/// A connection for reading, taken at the first question and kept for those that follow. On SQLite they see the same state, and
/// share a transaction, which costs more than a step into an index does.
///
/// Connections are few: it is to be [let go of](Self::let_go) before anything else is waited for, reading by other ways included.
pub struct Look {
    store: Store,
    conn: Option<Conn>,
}

impl Store {
    /// Looks at what is there when the first question comes.
    pub fn look(&self) -> Look {
        Look { store: self.clone(), conn: None }
    }
}

impl Look {
    /// What is asked next sees what is there then.
    pub fn let_go(&mut self) {
        // On SQLite the transaction ends with it.
        self.conn = None;
    }

    pub(crate) async fn conn(&mut self) -> Result<&mut Conn, StoreError> {
        match &mut self.conn {
            Some(conn) => Ok(conn),
            none => {
                let mut conn = self.store.reader().await?;
                if matches!(conn, Conn::SqliteReader(_)) {
                    conn.execute("BEGIN", args![]).await?;
                }
                Ok(none.insert(conn))
            }
        }
    }
}
