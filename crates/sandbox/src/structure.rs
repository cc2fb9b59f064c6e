//! What a component is made of, judged by its bytes before anything is compiled.
//!
//! A few bytes can stand for a great deal of work: a component that instantiates another
//! twice, which instantiates another twice, makes 2^27 instances of 541 bytes, and
//! wasmtime translates each of them; 400,000 empty functions take 1.6 MB and half a minute.
//! So the parts are counted first, with nested instantiations multiplied out, in one pass
//! over the bytes that neither recurses nor keeps them.
//!
//! The limits are some five times what components have that carry a whole language's
//! runtime (CPython or a JavaScript engine: 12 MB, 25,000 functions). The bundled ones
//! have some 1,000 functions in 400 KB of code. What passes may still take long to compile,
//! which is for [`Compiler`](crate::Compiler) to bound.

use crate::error::LoadError;
use std::fmt;
use wasmtime_wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind, Encoding,
    FunctionBody, Instance, Parser, Payload, SectionLimited,
};
use watchbell_settings::printable;

/// What of a component is counted before it is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Structure {
    /// How deep components are nested. Tools that compose components nest a few deep.
    Depth,
    /// Places in its types at which the type of a component or an instance may begin
    /// within another one. They are read recursively, with some 500 bytes of stack each.
    NestedTypes,
    /// Instances, with nested instantiations multiplied out. A component may have eight
    /// core instances when it runs; the others only regroup what there is.
    Instances,
    /// Definitions in components, with nested instantiations multiplied out: each is
    /// translated as often as its component is instantiated.
    Definitions,
    /// Core modules.
    Modules,
    /// Functions of core modules. Each costs tens of microseconds, even an empty one.
    Functions,
    /// Types of core modules and of components.
    Types,
    /// Imports of core modules and of components.
    Imports,
    /// Exports, globals and segments of core modules.
    Parts,
    /// Tables and memories of core modules.
    Tables,
    /// Bytes of code.
    Code,
    /// Bytes of one function: the compiler takes more than proportionally longer.
    Function,
    /// Local variables of all functions, which five bytes can declare thousands of.
    Locals,
}

impl Structure {
    /// The most that a component may have of it.
    #[must_use]
    pub const fn most(self) -> u64 {
        match self {
            Self::Depth => 16,
            Self::NestedTypes => 256,
            Self::Instances => 1_000,
            Self::Definitions | Self::Functions | Self::Parts => 100_000,
            Self::Modules | Self::Tables => 64,
            Self::Types | Self::Imports => 20_000,
            Self::Code => 48 << 20,
            Self::Function => 2 << 20,
            Self::Locals => 2_000_000,
        }
    }

    fn check(self, found: u64) -> Result<(), LoadError> {
        if found > self.most() {
            return Err(LoadError::Structure { part: self, found });
        }
        Ok(())
    }
}

impl fmt::Display for Structure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Depth => "levels of nested components",
            Self::NestedTypes => "nested types",
            Self::Instances => "instances, with nested ones multiplied out",
            Self::Definitions => "definitions, with nested instances multiplied out",
            Self::Modules => "core modules",
            Self::Functions => "functions",
            Self::Types => "types",
            Self::Imports => "imports",
            Self::Parts => "exports, globals and segments",
            Self::Tables => "tables and memories",
            Self::Code => "bytes of code",
            Self::Function => "bytes of code in one function",
            Self::Locals => "local variables",
        })
    }
}

/// Counts what a component is made of. Returns the names of its imports.
///
/// # Errors
/// [`LoadError::Structure`] for the first limit that is passed; [`LoadError::Invalid`]
/// when the bytes are no component, or one whose instances cannot be counted.
pub(crate) fn judge(bytes: &[u8]) -> Result<Vec<&str>, LoadError> {
    let mut outline = Outline::default();
    for payload in Parser::new(0).parse_all(bytes) {
        outline.take(payload.map_err(invalid)?, bytes)?;
    }
    Ok(outline.imports)
}

fn invalid(error: impl fmt::Display) -> LoadError {
    LoadError::Invalid(printable(&error.to_string()))
}

/// What one instantiation of a component comes to.
#[derive(Clone, Copy, Default)]
struct Weight {
    instances: u64,
    definitions: u64,
}

impl Weight {
    fn add(&mut self, more: Self) {
        self.instances = self.instances.saturating_add(more.instances);
        self.definitions = self.definitions.saturating_add(more.definitions);
    }
}

/// A component or module that is being read.
#[derive(Default)]
struct Frame {
    is_component: bool,
    own: Weight,
    /// The components that it can instantiate, in the order of their indices.
    components: Vec<Weight>,
}

/// What was read so far.
#[derive(Default)]
struct Outline<'b> {
    frames: Vec<Frame>,
    imports: Vec<&'b str>,
    counts: [u64; Structure::Locals as usize + 1],
}

impl<'b> Outline<'b> {
    fn take(&mut self, payload: Payload<'b>, bytes: &'b [u8]) -> Result<(), LoadError> {
        match payload {
            Payload::Version { encoding, .. } => {
                let is_component = encoding == Encoding::Component;
                self.frames.push(Frame {
                    is_component,
                    ..Frame::default()
                });
                Structure::Depth.check(self.frames.len() as u64)?;
                if !is_component {
                    self.count(Structure::Modules, 1)?;
                }
            }
            Payload::End(_) => return self.end(),

            Payload::TypeSection(section) => self.count_all(Structure::Types, &section)?,
            Payload::ImportSection(section) => self.count_all(Structure::Imports, &section)?,
            Payload::FunctionSection(section) => self.count_all(Structure::Functions, &section)?,
            Payload::TableSection(section) => self.count_all(Structure::Tables, &section)?,
            Payload::MemorySection(section) => self.count_all(Structure::Tables, &section)?,
            Payload::GlobalSection(section) => self.count_all(Structure::Parts, &section)?,
            Payload::ExportSection(section) => self.count_all(Structure::Parts, &section)?,
            Payload::ElementSection(section) => self.count_all(Structure::Parts, &section)?,
            Payload::DataSection(section) => self.count_all(Structure::Parts, &section)?,
            Payload::TagSection(section) => self.count_all(Structure::Parts, &section)?,
            Payload::CodeSectionStart { size, .. } => {
                self.count(Structure::Code, size.into())?;
            }
            Payload::CodeSectionEntry(body) => self.function(&body)?,

            Payload::CoreTypeSection(section) => {
                self.count_all(Structure::Types, &section)?;
                self.define(&section)?;
            }
            Payload::ComponentTypeSection(section) => {
                self.count_all(Structure::Types, &section)?;
                self.define(&section)?;
                let text = bytes.get(section.range()).unwrap_or_default();
                self.count(Structure::NestedTypes, nested_types(text))?;
            }
            Payload::ComponentCanonicalSection(section) => self.define(&section)?,
            Payload::ComponentStartSection { .. } => self.weigh(Weight {
                instances: 0,
                definitions: 1,
            }),
            Payload::ComponentImportSection(section) => {
                self.count_all(Structure::Imports, &section)?;
                self.define(&section)?;
                let is_outermost = self.frames.len() == 1;
                for import in section {
                    let import = import.map_err(invalid)?;
                    if is_outermost {
                        self.imports.push(import.name.name);
                    }
                    is_countable(import.ty.kind())?;
                }
            }
            Payload::ComponentAliasSection(section) => {
                self.define(&section)?;
                for alias in section {
                    self.alias(&alias.map_err(invalid)?)?;
                }
            }
            Payload::ComponentExportSection(section) => {
                self.define(&section)?;
                for export in section {
                    let export = export.map_err(invalid)?;
                    if export.kind == ComponentExternalKind::Component {
                        self.repeat(0, export.index);
                    }
                }
            }
            Payload::InstanceSection(section) => {
                self.define(&section)?;
                for instance in section {
                    let parts = match instance.map_err(invalid)? {
                        Instance::Instantiate { args, .. } => args.len(),
                        Instance::FromExports(exports) => exports.len(),
                    };
                    self.weigh(Weight {
                        instances: 1,
                        definitions: parts as u64,
                    });
                }
            }
            Payload::ComponentInstanceSection(section) => {
                self.define(&section)?;
                for instance in section {
                    self.instance(&instance.map_err(invalid)?);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A component or module is over.
    fn end(&mut self) -> Result<(), LoadError> {
        let Some(frame) = self.frames.pop() else {
            return Ok(());
        };
        match self.frames.last_mut() {
            Some(outer) if frame.is_component => outer.components.push(frame.own),
            Some(_) => {}
            None => {
                Structure::Instances.check(frame.own.instances)?;
                Structure::Definitions.check(frame.own.definitions)?;
            }
        }
        Ok(())
    }

    fn count(&mut self, part: Structure, more: u64) -> Result<(), LoadError> {
        if let Some(count) = self.counts.get_mut(part as usize) {
            *count = count.saturating_add(more);
            part.check(*count)?;
        }
        Ok(())
    }

    fn count_all<T>(
        &mut self,
        part: Structure,
        section: &SectionLimited<'_, T>,
    ) -> Result<(), LoadError> {
        self.count(part, section.count().into())
    }

    fn function(&mut self, body: &FunctionBody<'_>) -> Result<(), LoadError> {
        Structure::Function.check(body.range().len() as u64)?;
        for locals in body.get_locals_reader().map_err(invalid)? {
            let (count, _) = locals.map_err(invalid)?;
            self.count(Structure::Locals, count.into())?;
        }
        Ok(())
    }

    /// Adds to what an instance of the component comes to that is being read.
    fn weigh(&mut self, more: Weight) {
        if let Some(frame) = self.frames.last_mut() {
            frame.own.add(more);
        }
    }

    fn define<T>(&mut self, section: &SectionLimited<'_, T>) -> Result<(), LoadError> {
        self.count(Structure::Definitions, section.count().into())?;
        self.weigh(Weight {
            instances: 0,
            definitions: section.count().into(),
        });
        Ok(())
    }

    fn instance(&mut self, instance: &ComponentInstance<'_>) {
        match instance {
            ComponentInstance::Instantiate {
                component_index,
                args,
            } => {
                let inner = self.component(0, *component_index);
                self.weigh(Weight {
                    instances: inner.instances.saturating_add(1),
                    definitions: inner.definitions.saturating_add(args.len() as u64),
                });
            }
            ComponentInstance::FromExports(exports) => self.weigh(Weight {
                instances: 1,
                definitions: exports.len() as u64,
            }),
        }
    }

    fn alias(&mut self, alias: &ComponentAlias<'_>) -> Result<(), LoadError> {
        match alias {
            ComponentAlias::InstanceExport { kind, .. } => is_countable(*kind),
            ComponentAlias::Outer {
                kind: ComponentOuterAliasKind::Component,
                count,
                index,
            } => {
                self.repeat(*count, *index);
                Ok(())
            }
            ComponentAlias::Outer { .. } | ComponentAlias::CoreInstanceExport { .. } => Ok(()),
        }
    }

    /// What a component comes to, of the component that many levels further out. One that
    /// is not there is refused by the compiler, before it instantiates anything.
    fn component(&self, levels: u32, index: u32) -> Weight {
        let mut frames = self.frames.iter().rev();
        let frame = frames.nth(levels as usize);
        let component = frame.and_then(|frame| frame.components.get(index as usize));
        component.copied().unwrap_or_default()
    }

    /// Gives a component another index.
    fn repeat(&mut self, levels: u32, index: u32) {
        let weight = self.component(levels, index);
        if let Some(frame) = self.frames.last_mut() {
            frame.components.push(weight);
        }
    }
}

/// A component that is handed over in place of one that is there could be any, so how much
/// its instances come to is not known before they are made.
fn is_countable(kind: ComponentExternalKind) -> Result<(), LoadError> {
    if kind == ComponentExternalKind::Component {
        return Err(LoadError::Invalid(
            "one component is handed to another to be instantiated there, which no tool does"
                .to_owned(),
        ));
    }
    Ok(())
}

/// At how many places the type of a component (0x41) or instance (0x42) may be declared
/// (0x01) within another, counted no further than needed. A few other things look alike, so
/// it is a bound.
fn nested_types(text: &[u8]) -> u64 {
    let enough = usize::try_from(Structure::NestedTypes.most() + 1).unwrap_or(usize::MAX);
    let pairs = text.windows(2);
    let alike = pairs.filter(|pair| matches!(pair, [1, 0x41 | 0x42]));
    alike.take(enough).count() as u64
}
