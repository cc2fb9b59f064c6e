//! Polls a Defender from Rust: `embed ENDPOINT TOKEN`.

use std::time::Duration;
use watchbell_egress::{Bounds, Egress, Policy, Tls};
use watchbell_sandbox::contract::{Api, Config, Credentials, Limits as Caps, Query};
use watchbell_sandbox::{Authorization, Engine, Limits, Pool, Source};

#[tokio::main]
#[allow(clippy::print_stdout)] // an example's output is its point
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(endpoint), Some(token)) = (args.next(), args.next()) else {
        return Err("usage: embed ENDPOINT TOKEN".into());
    };
    let host = endpoint
        .trim_start_matches("https://")
        .trim_start_matches("http://")
        .parse()?;
    let policy = Policy::new([host], ["127.0.0.0/8".parse()?]);
    let session = Egress::new()
        .client(policy, &Tls::default())?
        .session(Bounds::default());
    let source = Source::load(
        &Engine::new(Pool::OneShot, None)?,
        watchbell_components::DEFENDER,
    )?;
    let authorization = Authorization::bearer(format!("{endpoint}/api/alerts").parse()?, &token);
    let limits = Limits::for_source(64 << 20, Duration::from_secs(300));
    let answer = source
        .poll(
            &last_ten_minutes(endpoint),
            session,
            Some(authorization),
            &limits,
        )
        .await?;
    for alert in answer.map_err(|error| format!("{error:?}"))? {
        println!("{}", alert.json);
    }
    Ok(())
}

fn last_ten_minutes(endpoint: String) -> Config {
    Config {
        endpoint,
        authority: String::new(),
        api: Api::Siem,
        query: Query {
            ago: Some("PT10M".to_owned()),
            ..Query::default()
        },
        limits: Caps {
            max_bytes: 64 << 20,
            max_pages: 1,
        },
        credentials: Credentials::Host,
        options: Vec::new(),
    }
}
