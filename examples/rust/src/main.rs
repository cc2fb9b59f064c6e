//! The README's lines of Rust as a program: polls the source `contoso` of the
//! `watchbell.toml` in this folder once.
//!
//! Through the host's own `DefenderClient` the policy, the bounds and the instance without a
//! secret are those of the `watchbell` program. `crates/sandbox/examples/embed.rs`
//! shows the layer below, for those who bring a token and a policy of their own.

use watchbell::config::{Document, process_env};
use watchbell::sources::{DefenderClient, Runtime, Window};
use watchbell_sandbox::Pool;

#[tokio::main]
#[allow(clippy::print_stdout)] // an example's output is its point
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = Document::read("watchbell.toml".as_ref())?;
    let runtime = Runtime::start(Pool::OneShot, None)?;
    let client = DefenderClient::new(&runtime, file.source("contoso", &process_env)?)?;
    for alert in client.poll(&Window::Ago("PT10M".into())).await? {
        println!("{}", alert.json);
    }
    Ok(())
}
