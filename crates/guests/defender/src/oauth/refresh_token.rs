//! Grant `refresh_token`: a user's consent that was kept.

use super::Grant;
use crate::bindings::exports::watchbell::detections::source::{Error, RefreshToken};
use crate::checks::check_text;

pub(super) fn grant(known: &RefreshToken) -> Result<Grant<'_>, Error> {
    check_text("credentials.refresh-token", &known.refresh_token)?;
    let mut proofs = vec![("refresh_token", known.refresh_token.as_str())];
    if let Some(secret) = &known.secret {
        check_text("credentials.secret", secret)?;
        proofs.push(("client_secret", secret));
    }
    Ok(Grant {
        tenant_id: &known.tenant_id,
        client_id: &known.client_id,
        grant_type: "refresh_token",
        proofs,
    })
}
