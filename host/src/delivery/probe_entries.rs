//! Picks entries of other tenants, to tell a broken plugin from an entry that is bad as a
//! whole.

use watchbell_ledger::{Entry, EntryId, Error, Ledger};

/// Tenants that are heard.
const WITNESSES: usize = 16;

/// The first entry of each tenant that waits for a sink; of the entry's own, the one
/// behind it.
pub(super) async fn probe_entries(
    ledger: &dyn Ledger,
    reader: &str,
    own: &str,
    entry: EntryId,
) -> Result<Vec<Entry>, Error> {
    let position = ledger.position(reader, None).await?.acknowledged;
    let mut found = Vec::new();
    for tenant in ledger
        .waiting_tenants(reader)
        .await?
        .into_iter()
        .take(WITNESSES)
    {
        let after = if tenant == own { entry } else { position };
        found.extend(ledger.next_entry(reader, Some(&tenant), after).await?);
    }
    Ok(found)
}
