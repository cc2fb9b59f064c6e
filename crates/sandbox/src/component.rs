//! Loading a component: its imports are judged by name before anything is linked.

use crate::cache;
use crate::engine::Engine;
use crate::error::LoadError;
use wasmtime::component::Component;
use watchbell_egress::printable;

/// The type-only interface that every world sees.
const TYPES: &str = "watchbell:detections/types@0.1.0";

/// A world, and what a component of it may import.
pub(crate) struct World {
    pub(crate) name: &'static str,
    pub(crate) imports: &'static [&'static str],
}

impl World {
    /// Why a component is none of this world.
    pub(crate) fn refusal(&self, reason: &impl ToString) -> LoadError {
        LoadError::World {
            world: self.name,
            reason: printable(&reason.to_string()),
        }
    }
}

/// Compiles `bytes`, or takes them from the cache, and refuses any import that
/// `world` does not offer. Versions are matched without their last number, as WASI
/// 0.2.x are compatible.
pub(crate) fn load(engine: &Engine, bytes: &[u8], world: &World) -> Result<Component, LoadError> {
    let component = match engine.cache() {
        Some(cache) => cache.load(engine.wasmtime(), bytes)?,
        None => cache::compile(engine.wasmtime(), bytes)?,
    };
    let kind = component.component_type();
    for (import, _) in kind.imports(engine.wasmtime()) {
        let known = import == TYPES
            || world
                .imports
                .iter()
                .any(|offered| import.starts_with(offered));
        if !known {
            return Err(LoadError::Import {
                import: printable(import),
                world: world.name,
            });
        }
    }
    Ok(component)
}
