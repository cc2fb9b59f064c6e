//! Grant `client_credentials`, proved by a client secret.

use super::Grant;
use crate::bindings::exports::watchbell::detections::source::{ClientSecret, Error};
use crate::checks::check_text;

pub(super) fn grant(known: &ClientSecret) -> Result<Grant<'_>, Error> {
    check_text("credentials.secret", &known.secret)?;
    Ok(Grant {
        tenant_id: &known.tenant_id,
        client_id: &known.client_id,
        grant_type: "client_credentials",
        proofs: vec![("client_secret", &known.secret)],
    })
}
