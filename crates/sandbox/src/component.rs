//! Loading a component: its structure and its imports are judged before it is compiled.

use crate::compiler;
use crate::engine::Engine;
use crate::error::LoadError;
use crate::structure;
use wasmtime::component::Component;
use watchbell_settings::printable;

/// The type-only interface that every world sees.
const TYPES: &str = "watchbell:detections/types@0.1.0";

/// A world, and what a component of it may import.
pub(crate) struct World {
    pub(crate) name: &'static str,
    pub(crate) imports: &'static [&'static str],
}

impl World {
    /// Refuses an import that it does not offer. Versions are matched without their last
    /// number, as WASI 0.2.x are compatible.
    fn judge(&self, import: &str) -> Result<(), LoadError> {
        let offers = |offered: &&str| import.starts_with(offered);
        if import == TYPES || self.imports.iter().any(offers) {
            return Ok(());
        }
        Err(LoadError::Import {
            import: printable(import),
            world: self.name,
        })
    }

    /// Why a component is none of this world.
    pub(crate) fn refusal(&self, reason: &impl ToString) -> LoadError {
        LoadError::World {
            world: self.name,
            reason: printable(&reason.to_string()),
        }
    }
}

/// Takes a component's code from the cache, or judges `bytes`, compiles them and keeps the
/// code. Refuses any import that `world` does not offer before it compiles.
pub(crate) fn load(engine: &Engine, bytes: &[u8], world: &World) -> Result<Component, LoadError> {
    let kept = engine
        .cache()
        .and_then(|cache| cache.read(engine.wasmtime(), bytes));
    let Some(component) = kept else {
        // On a thread of its own, where a panic is an error.
        for import in compiler::aside(|| structure::judge(bytes))?? {
            world.judge(import)?;
        }
        return compile(engine, bytes);
    };
    // It was compiled for a world, which need not have been this one.
    let kind = component.component_type();
    for (import, _) in kind.imports(engine.wasmtime()) {
        world.judge(import)?;
    }
    Ok(component)
}

fn compile(engine: &Engine, bytes: &[u8]) -> Result<Component, LoadError> {
    let keep = |code: &[u8]| {
        if let Some(cache) = engine.cache() {
            cache.keep(engine.wasmtime(), bytes, code);
        }
    };
    let Some(compiler) = engine.compiler() else {
        let component = compiler::compile_here(engine.wasmtime(), bytes)?;
        if engine.cache().is_some() {
            keep(&component.serialize().map_err(|e| LoadError::engine(&e))?);
        }
        return Ok(component);
    };
    let code = compiler.compile(bytes)?;
    // SAFETY: the process that was started for it has just made these bytes. It is this
    // program, and what it may be made to do by a component is this program's as well.
    #[allow(unsafe_code)]
    let component = unsafe { Component::deserialize(engine.wasmtime(), &code) };
    let component = component.map_err(|e| LoadError::Compiler(printable(&format!("{e:#}"))))?;
    keep(&code);
    Ok(component)
}
