//! The README's lines of Rust as a program: polls the source `contoso` of the
//! `watchbell.toml` in this folder once.
//!
//! Through the host's own `Puller` the policy, the bounds and the instance without a
//! secret are those of the `watchbell` program. `crates/sandbox/examples/embed.rs`
//! shows the layer below, for those who bring a token and a policy of their own.

use watchbell::config::{Document, process_env};
use watchbell::schedule::{Puller, Runtime, Window};
use watchbell_sandbox::Pool;

#[tokio::main]
#[allow(clippy::print_stdout)] // an example's output is its point
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = Document::read("watchbell.toml".as_ref())?;
    let runtime = Runtime::start(Pool::OneShot, None)?;
    let puller = Puller::new(&runtime, file.source("contoso", &process_env)?)?;
    for alert in puller.poll(&Window::Ago("PT10M".into())).await?.alerts {
        println!("{}", alert.json);
    }
    Ok(())
}
