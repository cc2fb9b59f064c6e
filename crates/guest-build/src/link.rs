//! Links a component's imports straight to the module that calls them.
//!
//! To lower an import takes the caller's memory, and a module has none before it has its
//! imports. `wit-component` breaks that circle with two more modules: trampolines that
//! come first, and one that fills them in last. Every instance pays for both. Here the
//! memory and its data move to a module that comes first instead; `cabi_realloc`, which
//! only the guest can offer, is reached through a table of one slot that the guest fills
//! as it starts.

// Positions are the parser's own, and every function that is named was numbered before.
#![allow(clippy::indexing_slicing)]

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::error::Error;
use std::ops::Range;

use wasm_encoder::reencode::{self, Reencode, ReencodeComponent};
use wasm_encoder::{
    CanonicalFunctionSection, Component, ComponentAliasSection, ComponentSectionId, ConstExpr,
    DataSection, ElementSection, Elements, ImportSection, InstanceSection, MemorySection, Module,
    ModuleArg, ModuleSection, RawSection, RefType, Section, SectionId, TableType,
};
use wasmparser::{
    CanonicalFunction, ComponentAlias, ComponentExternalKind, DataSectionReader,
    ElementSectionReader, ExternalKind, ImportSectionReader, Instance, MemorySectionReader, Parser,
    Payload, Validator,
};

/// The modules of `wit-component`, by their numbers.
const GUEST: u32 = 0;
const TRAMPOLINES: u32 = 1;
const FILLER: u32 = 2;

/// What is instantiated first, and the name by which the guest imports it.
const FIRST: u32 = 0;
const FIRST_NAME: &str = "first";
const MEMORY: &str = "memory";
const REALLOC: &str = "cabi_realloc";
const SLOT: &str = "realloc-slot";

const UNKNOWN_FORM: &str = "the component is not of the form that wit-component gives";

/// The component without its trampolines; as it is when it has none.
///
/// # Errors
/// When it is not of the form that `wit-component` gives.
pub(crate) fn link(component: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let (modules, items) = read(component)?;
    let &[guest, _, _] = modules.as_slice() else {
        return Ok(component.to_vec());
    };
    let mut guest = Guest::read(guest)?;
    let mut linked = Component::new();
    linked.section(&ModuleSection(&guest.rest()?));
    linked.section(&RawSection {
        id: ComponentSectionId::CoreModule.into(),
        data: &guest.first()?,
    });
    relink(&items, &mut linked)?;
    let linked = linked.finish();
    Validator::new().validate_all(&linked)?;
    Ok(linked)
}

/// What a component consists of beside its modules.
enum Item<'a> {
    Instance(Instance<'a>),
    Alias(ComponentAlias<'a>),
    Canonical(CanonicalFunction),
    /// A section of any other kind, by its identifier.
    Other(u8, &'a [u8]),
}

type Parts<'a> = (Vec<&'a [u8]>, Vec<Item<'a>>);

fn read(component: &[u8]) -> Result<Parts<'_>, Box<dyn Error>> {
    let (mut modules, mut items) = (Vec::new(), Vec::new());
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload?;
        let nests = matches!(
            payload,
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. }
        );
        if let Payload::End(_) = payload {
            depth = depth.saturating_sub(1);
        } else if depth == 0 {
            let section = payload.as_section();
            let section = section.map(|(id, range)| (id, within(component, range)));
            match (payload, section) {
                (Payload::ModuleSection { .. }, Some((_, module))) => modules.push(module),
                (Payload::InstanceSection(all), _) => {
                    for instance in all {
                        items.push(Item::Instance(instance?));
                    }
                }
                (Payload::ComponentAliasSection(all), _) => {
                    for alias in all {
                        items.push(Item::Alias(alias?));
                    }
                }
                (Payload::ComponentCanonicalSection(all), _) => {
                    for function in all {
                        items.push(Item::Canonical(function?));
                    }
                }
                // Names of what gets other numbers here.
                (Payload::CustomSection(custom), _) if custom.name() == "component-name" => {}
                (_, Some((id, data))) => items.push(Item::Other(id, data)),
                (_, None) => {}
            }
        }
        depth += u32::from(nests);
    }
    Ok((modules, items))
}

#[allow(clippy::cast_possible_truncation)] // positions within a slice
fn within(whole: &[u8], range: Range<u64>) -> &[u8] {
    &whole[range.start as usize..range.end as usize]
}

/// The guest's module, and what moves out of it.
struct Guest<'a> {
    module: &'a [u8],
    memory: wasmparser::MemoryType,
    data: Option<&'a [u8]>,
    /// The function's number.
    realloc: u32,
}

impl<'a> Guest<'a> {
    fn read(module: &'a [u8]) -> Result<Self, Box<dyn Error>> {
        let (mut memory, mut data, mut realloc, mut functions) = (None, None, None, None);
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::MemorySection(all) => {
                    for its in all {
                        memory = Some(its?);
                    }
                }
                Payload::ElementSection(all) => functions = Some(all.count()),
                Payload::DataSection(all) => data = Some(within(module, all.range())),
                Payload::ExportSection(all) => {
                    for export in all {
                        let export = export?;
                        if export.name == REALLOC {
                            realloc = Some(export.index);
                        }
                    }
                }
                _ => {}
            }
        }
        // With these, the slot is filled.
        functions.ok_or("the guest has no table of functions")?;
        Ok(Self {
            module,
            memory: memory.ok_or("the guest has no memory")?,
            data,
            realloc: realloc.ok_or("the guest exports no cabi_realloc")?,
        })
    }

    /// Memory, data and the way to `cabi_realloc`.
    fn first(&self) -> Result<Vec<u8>, Box<dyn Error>> {
        let pages = self.memory.initial;
        let most = self.memory.maximum.map(|pages| pages.to_string());
        let most = most.unwrap_or_default();
        let mut module = wat::parse_str(format!(
            r#"(module
              (type $realloc (func (param i32 i32 i32 i32) (result i32)))
              (table $slot (export "{SLOT}") 1 1 funcref)
              (memory (export "{MEMORY}") {pages} {most})
              (func (export "{REALLOC}") (type $realloc)
                local.get 0 local.get 1 local.get 2 local.get 3
                i32.const 0 call_indirect $slot (type $realloc)))"#
        ))?;
        if let Some(data) = self.data {
            let id = SectionId::Data.into();
            RawSection { id, data }.append_to(&mut module);
        }
        Ok(module)
    }

    /// All else: it imports what came first, and puts its `cabi_realloc` into the slot.
    fn rest(&mut self) -> Result<Module, Box<dyn Error>> {
        let mut rest = Module::new();
        let module = self.module;
        self.parse_core_module(&mut rest, Parser::new(0), module)?;
        Ok(rest)
    }
}

type Reencoded<T> = Result<T, reencode::Error>;

impl Reencode for Guest<'_> {
    type Error = Infallible;

    /// The slot's table comes before the guest's own.
    fn table_index(&mut self, table: u32) -> Reencoded<u32> {
        Ok(table + 1)
    }

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: ImportSectionReader<'_>,
    ) -> Reencoded<()> {
        reencode::utils::parse_import_section(self, imports, section)?;
        let slot = TableType {
            element_type: RefType::FUNCREF,
            minimum: 1,
            maximum: Some(1),
            table64: false,
            shared: false,
        };
        imports.import(FIRST_NAME, MEMORY, self.memory_type(self.memory)?);
        imports.import(FIRST_NAME, SLOT, slot);
        Ok(())
    }

    fn parse_memory_section(
        &mut self,
        _: &mut MemorySection,
        _: MemorySectionReader<'_>,
    ) -> Reencoded<()> {
        Ok(())
    }

    fn parse_element_section(
        &mut self,
        elements: &mut ElementSection,
        section: ElementSectionReader<'_>,
    ) -> Reencoded<()> {
        reencode::utils::parse_element_section(self, elements, section)?;
        // Last: engines prepare the guest's own table before any instance, up to the first
        // element of a table that is not its own.
        let realloc = Elements::Functions(Cow::Borrowed(std::slice::from_ref(&self.realloc)));
        elements.active(Some(0), &ConstExpr::i32_const(0), realloc);
        Ok(())
    }

    fn data_count(&mut self, _: u32) -> Reencoded<u32> {
        Ok(0)
    }

    fn parse_data_section(
        &mut self,
        _: &mut DataSection,
        _: DataSectionReader<'_>,
    ) -> Reencoded<()> {
        Ok(())
    }
}

/// Writes `items` in a new order: what lowers the imports, which came after the guest's
/// instance, comes before it.
fn relink(items: &[Item<'_>], linked: &mut Component) -> Result<(), Box<dyn Error>> {
    let position = |module| {
        let is_it = |item: &Item<'_>| {
            matches!(item, Item::Instance(Instance::Instantiate { module_index, .. })
                if *module_index == module)
        };
        items.iter().position(is_it).ok_or(UNKNOWN_FORM)
    };
    let (trampolines, guest, filler) =
        (position(TRAMPOLINES)?, position(GUEST)?, position(FILLER)?);
    let Some(Item::Instance(Instance::FromExports(lowered))) = items.get(filler - 1) else {
        return Err(UNKNOWN_FORM.into());
    };
    let old = numbers(items);
    let mut relinker = Relinker::default();
    let lowering = guest + 1..filler - 1;
    let order = (0..=trampolines)
        .chain(lowering.clone())
        .chain(trampolines + 1..=guest)
        .chain(filler + 1..items.len());
    for at in order {
        relinker.before_guest = lowering.contains(&at);
        match &items[at] {
            // Where a trampoline was called, the import itself is.
            Item::Alias(ComponentAlias::CoreInstanceExport {
                kind: ExternalKind::Func,
                instance_index: FIRST,
                name,
            }) => {
                let import = lowered.iter().find(|import| import.name == *name);
                let import = import.ok_or(UNKNOWN_FORM)?.index;
                let number = relinker.function_index(import)?;
                relinker.core.numbers.insert(old[at], number);
            }
            Item::Alias(ComponentAlias::CoreInstanceExport {
                kind: ExternalKind::Table,
                ..
            }) => {}
            item => {
                relinker.number(item, old[at]);
                relinker.write(item, linked)?;
            }
        }
    }
    Ok(())
}

/// The kinds of functions that a component numbers, each from zero.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Core,
    Component,
}

impl Item<'_> {
    /// Which kind of function it makes, if any.
    fn makes(&self) -> Option<Kind> {
        match self {
            Self::Canonical(CanonicalFunction::Lift { .. })
            | Self::Alias(ComponentAlias::InstanceExport {
                kind: ComponentExternalKind::Func,
                ..
            }) => Some(Kind::Component),
            Self::Canonical(_)
            | Self::Alias(ComponentAlias::CoreInstanceExport {
                kind: ExternalKind::Func,
                ..
            }) => Some(Kind::Core),
            _ => None,
        }
    }
}

/// What number each item's function has in this order.
fn numbers(items: &[Item<'_>]) -> Vec<u32> {
    let (mut core, mut component) = (0.., 0..);
    let number = |item: &Item<'_>| match item.makes() {
        Some(Kind::Core) => core.next(),
        Some(Kind::Component) => component.next(),
        None => None,
    };
    items
        .iter()
        .map(number)
        .map(Option::unwrap_or_default)
        .collect()
}

/// The functions of one kind that are written so far.
#[derive(Default)]
struct Written {
    /// Their numbers, by those that they had.
    numbers: BTreeMap<u32, u32>,
    count: u32,
}

impl Written {
    fn add(&mut self, old: u32) {
        self.numbers.insert(old, self.count);
        self.count += 1;
    }
}

#[derive(Default)]
struct Relinker {
    core: Written,
    component: Written,
    /// Whether memory and `cabi_realloc` are to come from the first instance.
    before_guest: bool,
}

impl Relinker {
    fn number(&mut self, item: &Item<'_>, old: u32) {
        match item.makes() {
            Some(Kind::Core) => self.core.add(old),
            Some(Kind::Component) => self.component.add(old),
            None => {}
        }
    }

    fn write(&mut self, item: &Item<'_>, linked: &mut Component) -> Result<(), Box<dyn Error>> {
        match item {
            Item::Other(id, data) => {
                linked.section(&RawSection { id: *id, data });
            }
            Item::Alias(alias) => {
                let mut section = ComponentAliasSection::new();
                section.alias(self.component_alias(alias.clone())?);
                linked.section(&section);
            }
            Item::Canonical(function) => {
                let mut section = CanonicalFunctionSection::new();
                self.parse_component_canonical(&mut section, function.clone())?;
                linked.section(&section);
            }
            Item::Instance(Instance::Instantiate {
                module_index: GUEST,
                args,
            }) => {
                let mut imports = vec![(FIRST_NAME, ModuleArg::Instance(FIRST))];
                let lowered = args
                    .iter()
                    .map(|arg| (arg.name, ModuleArg::Instance(arg.index)));
                imports.extend(lowered);
                let mut section = InstanceSection::new();
                section.instantiate(GUEST, imports);
                linked.section(&section);
            }
            Item::Instance(instance) => {
                let mut section = InstanceSection::new();
                self.parse_instance(&mut section, instance.clone())?;
                linked.section(&section);
            }
        }
        Ok(())
    }
}

impl Reencode for Relinker {
    type Error = Infallible;

    fn function_index(&mut self, old: u32) -> Reencoded<u32> {
        Ok(self.core.numbers[&old])
    }
}

impl ReencodeComponent for Relinker {
    fn component_func_index(&mut self, old: u32) -> u32 {
        self.component.numbers[&old]
    }

    fn instance_index(&mut self, old: u32) -> u32 {
        if self.before_guest { FIRST } else { old }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{component_beside, component_of};

    const WIT: &str = r"
        package test:link;
        interface names { of: func(id: string) -> string; forget: func(); }
        world guest { import names; export run: func() -> string; }";

    const GUEST: &str = r#"(module
        (import "test:link/names" "of" (func $of (param i32 i32 i32)))
        (import "test:link/names" "forget" (func $forget))
        (table 2 funcref)
        (memory (export "memory") 2)
        (func $realloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 64)
        (func (export "run") (result i32)
          call $forget
          (call $of (i32.const 8) (i32.const 3) (i32.const 16))
          i32.const 16)
        (elem (i32.const 1) func $realloc)
        (data (i32.const 8) "al1"))"#;

    #[test]
    fn a_guest_with_imports_has_no_module_to_reach_them_by() {
        let component = component_beside(GUEST, "test:link/guest", Some(WIT)).unwrap();
        assert_eq!(read(&component).unwrap().0.len(), 3);
        let linked = link(&component).unwrap();
        let (modules, _) = read(&linked).unwrap();
        let [guest, first] = modules.as_slice() else {
            panic!("{} modules", modules.len());
        };
        let has = |module: &[u8], text: &[u8]| module.windows(text.len()).any(|part| part == text);
        assert!(has(first, b"al1") && !has(guest, b"al1"));
        Validator::new().validate_all(&linked).unwrap();
    }

    #[test]
    fn a_component_that_imports_nothing_is_as_it_was() {
        let alone = r#"(module
            (memory (export "memory") 1)
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
            (func (export "watchbell:detections/processor@0.1.0#check")
              (param i32 i32) (result i32) unreachable)
            (func (export "watchbell:detections/processor@0.1.0#process")
              (param i32 i32 i32 i32) (result i32) unreachable))"#;
        let component = component_of(alone, "alert-processor").unwrap();
        assert_eq!(link(&component).unwrap(), component);
    }

    #[test]
    fn a_guest_without_a_table_is_named() {
        let table = ["(table 2 funcref)", "(elem (i32.const 1) func $realloc)"];
        let guest = table
            .iter()
            .fold(GUEST.to_owned(), |guest, line| guest.replace(line, ""));
        let component = component_beside(&guest, "test:link/guest", Some(WIT)).unwrap();
        let fault = link(&component).unwrap_err();
        assert_eq!(fault.to_string(), "the guest has no table of functions");
    }
}
