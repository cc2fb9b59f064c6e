//! A loaded source, and the two calls on it.

use crate::bindings::contract::{Config, Error, Token};
use crate::bindings::source_world::SourceExportsPre;
use crate::bindings::types::Alert;
use crate::check;
use crate::component::{self, World};
use crate::engine::{Call, Engine};
use crate::error::{CallError, LoadError};
use crate::http::{self, Authorization, Hooks};
use crate::limits::{Limits, Meter};
use crate::state::Online;
use tokio::time::timeout;
use wasmtime::component::{Linker, ResourceTable};
use wasmtime_wasi_http::WasiHttpCtx;
use watchbell_egress::{Bounds, Egress, Policy, Session, Tls};

const WORLD: World = World {
    name: "defender-source",
    imports: &[
        "wasi:http/types@0.2.",
        "wasi:http/outgoing-handler@0.2.",
        "wasi:io/error@0.2.",
        "wasi:io/poll@0.2.",
        "wasi:io/streams@0.2.",
    ],
};

/// A loaded source component. Cheap to clone; each call runs in a fresh instance.
#[derive(Clone)]
pub struct Source {
    engine: Engine,
    pre: SourceExportsPre<Online>,
}

impl Source {
    /// Loads a component of the world `defender-source`.
    ///
    /// # Errors
    /// [`LoadError`] when it is no component, imports more than the world offers or
    /// lacks its exports.
    pub fn load(engine: &Engine, bytes: &[u8]) -> Result<Self, LoadError> {
        let component = component::load(engine, bytes, &WORLD)?;
        let mut linker = Linker::new(engine.wasmtime());
        let linked = wasmtime_wasi_io::add_to_linker_async(&mut linker)
            .and_then(|()| wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker))
            .and_then(|()| http::tell_body_errors(&mut linker));
        linked.map_err(|e| LoadError::engine(&e))?;
        let pre = linker
            .instantiate_pre(&component)
            .and_then(SourceExportsPre::new)
            .map_err(|e| WORLD.refusal(&format!("{e:#}")))?;
        // It reaches nothing: what runs in an attempt is the component's own.
        let nowhere = Egress::with_sockets(1).client(Policy::new([], []), &Tls::default());
        let nowhere = nowhere.map_err(|error| WORLD.refusal(&error))?;
        let hooks = Hooks::new(nowhere.session(Bounds::default()), None);
        let limits = Limits::for_plugin();
        let attempt = engine.try_out(
            |meter| online(hooks, &limits, meter),
            async |store| pre.instantiate_async(store).await.map(drop),
        );
        attempt.map_err(|error| WORLD.refusal(&error))?;
        Ok(Self {
            engine: engine.clone(),
            pre,
        })
    }

    /// Gets a token. `session` should reach the authority and nothing else: this
    /// instance holds the secret.
    ///
    /// # Errors
    /// Outside: the guest was stopped or returned what the contract forbids. Inside:
    /// what the service or the guest says.
    pub async fn authenticate(
        &self,
        config: &Config,
        session: Session,
        limits: &Limits,
    ) -> Result<Result<Token, Error>, CallError> {
        let mut call = self.begin(Hooks::new(session, None), limits).await;
        let clock = call.clock.clone();
        let work = async {
            let guest = self.pre.instantiate_async(&mut call.store).await?;
            guest
                .watchbell_detections_source()
                .call_authenticate(&mut call.store, config)
                .await
        };
        let outcome = timeout(limits.wall, clock.time(work)).await;
        let mut answer = call.finish(outcome)?;
        if let Err(Error::Malformed(fault)) = &mut answer {
            check::malformed(fault, limits)?;
        }
        Ok(answer)
    }

    /// Asks once for detections. The credentials in `config` should be `host`;
    /// `authorization` is added to the one request that it names, where the guest
    /// never sees it.
    ///
    /// # Errors
    /// Outside: the guest was stopped or returned what the contract forbids. Inside:
    /// what the service or the guest says.
    pub async fn poll(
        &self,
        config: &Config,
        session: Session,
        authorization: Option<Authorization>,
        limits: &Limits,
    ) -> Result<Result<Vec<Alert>, Error>, CallError> {
        let mut call = self.begin(Hooks::new(session, authorization), limits).await;
        let clock = call.clock.clone();
        let work = async {
            let guest = self.pre.instantiate_async(&mut call.store).await?;
            guest
                .watchbell_detections_source()
                .call_poll(&mut call.store, config)
                .await
        };
        let outcome = timeout(limits.wall, clock.time(work)).await;
        let mut answer = call.finish(outcome)?;
        match &mut answer {
            Ok(alerts) => check::alerts(alerts, limits)?,
            Err(Error::Malformed(fault)) => check::malformed(fault, limits)?,
            Err(_) => {}
        }
        Ok(answer)
    }

    /// Makes an instance and drops it: what a call costs before it begins.
    ///
    /// # Errors
    /// As [`Source::poll`].
    pub async fn create(&self, session: Session, limits: &Limits) -> Result<(), CallError> {
        let mut call = self.begin(Hooks::new(session, None), limits).await;
        let clock = call.clock.clone();
        let work = async { self.pre.instantiate_async(&mut call.store).await.map(drop) };
        let outcome = timeout(limits.wall, clock.time(work)).await;
        call.finish(outcome)
    }

    async fn begin(&self, hooks: Hooks, limits: &Limits) -> Call<Online> {
        let state = |meter| online(hooks, limits, meter);
        self.engine.begin(limits, state).await
    }
}

fn online(hooks: Hooks, limits: &Limits, meter: Meter) -> Online {
    let mut context = WasiHttpCtx::new();
    context.set_field_size_limit(limits.header_bytes);
    let mut table = ResourceTable::new();
    table.set_max_capacity(limits.handles);
    Online {
        meter,
        table,
        context,
        hooks,
    }
}
