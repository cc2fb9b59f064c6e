//! Watchbell's side: the host's own puller, as `watchbell poll` and `watchbell run`
//! use it, with its sandbox, its egress policy and its checks.

use crate::served::Window;
use crate::side::{Created, ServiceArgs, Side};
use anyhow::{Context, Result, anyhow};
use chrono::DateTime;
use std::io::Write;
use std::path::Path;
use std::time::Instant;
use watchbell::config::Document;
use watchbell::names::Name;
use watchbell::sources::{self, DefenderClient, Runtime};
use watchbell_components::DEFENDER;
use watchbell_egress::{Bounds, Client, Policy, Tls};
use watchbell_guest_build::component_of;
use watchbell_sandbox::{Limits, Pool, Source};
use watchbell_settings::{At, Node, Value};

/// What 100,000 detections need; the host's own default is a third of it.
const MAX_RESPONSE: &str = "1GiB";
const NAME: &str = "bench";

/// A source with nothing in it: what an instance costs anyway.
const EMPTY: &str = r#"
(module
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
  (func (export "watchbell:detections/source@0.1.0#authenticate")
    (param i32) (result i32) unreachable)
  (func (export "watchbell:detections/source@0.1.0#poll") (param i32) (result i32) unreachable))
"#;

/// A puller on a warm host.
pub struct Ours {
    puller: DefenderClient,
    component: Source,
    empty: Source,
    /// Reaches nothing: for instances that are made and dropped.
    nobody: Client,
}

impl Ours {
    /// Starts the host's runtime, with its compiled code kept under `data_dir`.
    ///
    /// # Errors
    /// When the runtime or a setting cannot be used.
    pub fn start(service: &ServiceArgs, data_dir: &Path) -> Result<Self> {
        let runtime = Runtime::start(Pool::Service(2), Some(data_dir))?;
        let puller = DefenderClient::new(&runtime, settings(service)?)?;
        let component = Source::load(&runtime.engine, DEFENDER)?;
        let empty = component_of(EMPTY, "defender-source").map_err(|e| anyhow!("{e}"))?;
        let empty = Source::load(&runtime.engine, &empty)?;
        let nobody = runtime
            .egress
            .client(Policy::new([], []), &Tls::default())?;
        Ok(Self {
            puller,
            component,
            empty,
            nobody,
        })
    }
}

fn settings(service: &ServiceArgs) -> Result<watchbell::sources::Source> {
    let name: Name = NAME.parse()?;
    let mut document = Document::from_flags(&name);
    let loopback = Node {
        at: At::flag("bench"),
        value: Value::text("127.0.0.0/8"),
    };
    let settings = [
        ("endpoint", Value::text(&service.endpoint)),
        ("authority", Value::text(&service.authority)),
        ("tenant_id", Value::text(&service.tenant_id)),
        ("client_id", Value::text(&service.client_id)),
        ("client_secret", Value::text(&service.client_secret)),
        ("limits.max_response_bytes", Value::text(MAX_RESPONSE)),
        ("egress.allow_addresses", Value::Array(vec![loopback])),
    ];
    for (key, value) in settings {
        document.override_source(NAME, key, value, "bench")?;
    }
    Ok(document.source(NAME, &|_| None)?)
}

impl Side for Ours {
    async fn pull(&self, window: &Window, out: &mut impl Write) -> Result<usize> {
        let time = |text: &str| anyhow::Ok(DateTime::parse_from_rfc3339(text)?.to_utc());
        let window =
            sources::Window::Between(Some(time(&window.since)?), Some(time(&window.until)?));
        let pulled = self.puller.poll(&window).await?;
        for alert in &pulled {
            out.write_all(alert.json.as_bytes())?;
            out.write_all(b"\n")?;
        }
        Ok(pulled.len())
    }

    async fn create(&self, times: usize) -> Result<Created> {
        let limits = Limits::for_source(Bounds::default().response_bytes, Bounds::default().total);
        let mut created = Created::default();
        for _ in 0..times {
            for (component, each) in [
                (&self.component, &mut created.source),
                (&self.empty, &mut created.empty),
            ] {
                let session = self.nobody.session(Bounds::default());
                let start = Instant::now();
                component.create(session, &limits).await?;
                let took = start.elapsed().as_nanos();
                each.push(u64::try_from(took).context("a clock that leaps")?);
            }
        }
        Ok(created)
    }
}
