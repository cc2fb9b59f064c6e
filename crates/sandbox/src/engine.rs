//! The one place where a wasmtime engine is made.
//!
//! Pooling: memories, tables and stacks are reserved once, so that a fresh instance
//! costs microseconds. wasmtime's pool answers with an error when it is full, so a
//! semaphore of the pool's size stands in front and callers wait instead.
//!
//! Two clocks bound a call. CPU is the time that the call's task runs ([`Clock`]): a
//! thread ticks every [`TICK`], and at each tick the store's callback compares it with
//! its bound and yields to the other tasks. The wall is a timeout around the whole call,
//! since an epoch never fires while a guest waits in the host.

use crate::cache::Cache;
use crate::clock::Clock;
use crate::compiler::Compiler;
use crate::config;
use crate::error::{CallError, LoadError};
use crate::limits::{Limit, Limits, MAX_INSTANCES, MAX_TABLE_ELEMENTS, Meter};
use crate::state::Metered;
use std::num::NonZero;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use wasmtime::{
    CallHook, InstanceAllocationStrategy, PoolingAllocationConfig, Store, UpdateDeadline,
};

/// Length of an epoch: how long a guest may run before other tasks get their turn.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// Largest linear memory that the pool can give; [`Limits::memory_bytes`] is what a
/// call may use of it. Address space only: 4 GiB is what 32-bit guests can address,
/// and lets the compiler leave out bounds checks.
const MAX_MEMORY: usize = 4 << 30;

/// How many instances may be alive at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pool {
    /// For verbs that make a call or two and end: starts fastest.
    OneShot,
    /// For a service: that many calls at one time, the others wait.
    Service(u32),
}

impl Pool {
    fn calls(self) -> u32 {
        match self {
            Self::OneShot => 2,
            Self::Service(calls) => calls.max(1),
        }
    }
}

/// A compiler, an instance pool, an epoch clock and a cache of compiled code.
#[derive(Clone)]
pub struct Engine {
    inner: wasmtime::Engine,
    permits: Arc<Semaphore>,
    /// Places for guests that run for longer than an epoch.
    long: Arc<Semaphore>,
    cache: Option<Arc<Cache>>,
    compiler: Option<Arc<Compiler>>,
}

impl Engine {
    /// Makes an engine. Without `cache`, every load compiles (some 100 ms for the
    /// bundled source).
    ///
    /// # Errors
    /// [`LoadError::Engine`] when the machine refuses the pool's address space or the
    /// clock's thread.
    pub fn new(pool: Pool, cache: Option<Cache>) -> Result<Self, LoadError> {
        let calls = pool.calls();
        let instances = u32::try_from(MAX_INSTANCES).unwrap_or(u32::MAX);
        let mut slots = PoolingAllocationConfig::default();
        slots
            .total_component_instances(calls)
            .total_core_instances(calls.saturating_mul(instances))
            .max_core_instances_per_component(instances)
            .total_memories(calls.saturating_mul(2))
            .max_memories_per_component(2)
            .total_tables(calls.saturating_mul(instances))
            .max_tables_per_component(instances)
            .table_elements(MAX_TABLE_ELEMENTS)
            .total_stacks(calls)
            .max_memory_size(MAX_MEMORY)
            // A free slot keeps no page of its memory: a hundred that hung once would
            // hold 10 MiB for good, and a poll takes as long without (`cargo xtask bench`).
            .linear_memory_keep_resident(0)
            .table_keep_resident(64 << 10);
        let mut config = config::for_code();
        config
            .allocation_strategy(InstanceAllocationStrategy::Pooling(slots))
            .max_wasm_stack(1 << 20)
            .async_stack_size(2 << 20)
            // One frame, so that an error tells whether it came from within the guest.
            .wasm_backtrace_max_frames(NonZeroUsize::new(1));
        let inner = wasmtime::Engine::new(&config).map_err(|e| LoadError::engine(&e))?;
        let clock = inner.weak();
        std::thread::Builder::new()
            .name("epoch-clock".to_owned())
            .spawn(move || {
                while let Some(engine) = clock.upgrade() {
                    engine.increment_epoch();
                    drop(engine);
                    std::thread::sleep(TICK);
                }
            })
            .map_err(|e| LoadError::Engine(e.to_string()))?;
        let permits = Arc::new(Semaphore::new(calls as usize));
        // As many as tokio makes.
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        Ok(Self {
            inner,
            permits,
            long: Arc::new(Semaphore::new(threads.saturating_sub(1).max(1))),
            cache: cache.map(Arc::new),
            compiler: None,
        })
    }

    /// The same, compiling in processes of its own: for components that are not the
    /// program's.
    #[must_use]
    pub fn with_compiler(self, compiler: Compiler) -> Self {
        Self {
            compiler: Some(Arc::new(compiler)),
            ..self
        }
    }

    /// The same, compiling in this process, without bounds on memory and time: for
    /// components that the program brings itself.
    #[must_use]
    pub fn in_process(&self) -> Self {
        Self {
            compiler: None,
            ..self.clone()
        }
    }

    pub(crate) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.inner
    }

    pub(crate) fn cache(&self) -> Option<&Cache> {
        self.cache.as_deref()
    }

    pub(crate) fn compiler(&self) -> Option<&Compiler> {
        self.compiler.as_deref()
    }

    /// Begins a call: waits for a slot of the pool and makes a store in which every
    /// bound of `limits` is armed, but for the wall, which [`Call::finish`] is told of.
    pub(crate) async fn begin<S: Metered + Send + 'static>(
        &self,
        limits: &Limits,
        state: impl FnOnce(Meter) -> S,
    ) -> Call<S> {
        // The semaphore is never closed, so waiting cannot fail.
        let slot = Arc::clone(&self.permits).acquire_owned().await.ok();
        let clock = Clock::default();
        let store = self.store(state(Meter::new(limits.clone())), limits, clock.clone());
        Call {
            store,
            clock,
            _slot: slot,
        }
    }

    /// Makes one instance and drops it, so that what is wrong with a component is told when
    /// it is loaded: wasmtime compares the types of exports with their world only then, and
    /// a component may run code of its own. On a thread of its own, since loading may
    /// happen anywhere.
    pub(crate) fn try_out<S, P>(
        &self,
        state: impl FnOnce(Meter) -> S + Send,
        instantiate: P,
    ) -> Result<(), CallError>
    where
        S: Metered + Send + 'static,
        P: AsyncFnOnce(&mut Store<S>) -> wasmtime::Result<()> + Send,
    {
        let limits = Limits::for_plugin();
        let failed = |error: &dyn std::fmt::Display| CallError::Trap(error.to_string());
        let attempt = || {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            let runtime = builder.enable_time().build().map_err(|e| failed(&e))?;
            runtime.block_on(async {
                let begun = timeout(limits.wall, self.begin(&limits, state)).await;
                let mut call = begun.map_err(|_| failed(&"too many calls are under way"))?;
                let clock = call.clock.clone();
                let work = clock.time(instantiate(&mut call.store));
                let outcome = timeout(limits.wall, work).await;
                call.finish(outcome)
            })
        };
        let thread = std::thread::Builder::new().name("try-out".to_owned());
        std::thread::scope(|scope| match thread.spawn_scoped(scope, attempt) {
            Ok(attempt) => attempt
                .join()
                .unwrap_or_else(|_| Err(failed(&"the attempt panicked"))),
            Err(error) => Err(failed(&error)),
        })
    }

    /// A store with every bound of `limits` armed.
    fn store<S>(&self, state: S, limits: &Limits, clock: Clock) -> Store<S>
    where
        S: Metered + Send + 'static,
    {
        let mut store = Store::new(&self.inner, state);
        store.limiter(|state| state.meter());
        store.set_max_component_handles(limits.handles);
        // wasmtime's fuel is for one call and full again in the next.
        let (host_call, result) = (limits.host_call_bytes, limits.transfer_bytes);
        store.set_hostcall_fuel(host_call);
        store.call_hook(move |mut context, crossing| {
            match crossing {
                CallHook::CallingHost => context.set_hostcall_fuel(host_call),
                // A result is copied next.
                CallHook::ReturningFromWasm => context.set_hostcall_fuel(result),
                CallHook::CallingWasm | CallHook::ReturningFromHost => {}
            }
            Ok(())
        });
        let (cpu, long) = (limits.cpu, Arc::clone(&self.long));
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(move |mut context| {
            if clock.ran() >= cpu {
                context.data_mut().meter().met = Some(Limit::Cpu);
                return Ok(UpdateDeadline::Interrupt);
            }
            let place = clock.clone().go_on(Arc::clone(&long));
            Ok(UpdateDeadline::YieldCustom(1, Box::pin(place)))
        });
        store
    }
}

/// A call under way: its store, and its slot of the pool until the store is gone.
pub(crate) struct Call<S: 'static> {
    pub(crate) store: Store<S>,
    /// Runs while the call's work is polled, which is the caller's to see to.
    pub(crate) clock: Clock,
    _slot: Option<OwnedSemaphorePermit>,
}

impl<S: Metered> Call<S> {
    /// Sorts what came of it; the outer error is the wall limit.
    pub(crate) fn finish<R>(
        mut self,
        outcome: Result<wasmtime::Result<R>, Elapsed>,
    ) -> Result<R, CallError> {
        let meter = self.store.data_mut().meter();
        match outcome {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(CallError::of(&error, meter)),
            Err(_) => Err(CallError::limit(Limit::Wall, meter.limits())),
        }
    }
}
