//! WebAssembly proposals that no guest needs are off: what uses one is refused by name at
//! load, before any of it runs.
//!
//! Function subtypes used to pass and to abort the process, some at load and some when the
//! component was called.

use watchbell_sandbox::{LoadError, Processor};
use watchbell_tests::ENGINE;

/// Refused with these words, as a module in a component.
#[track_caller]
fn refused(module: &str, words: &str) {
    component_refused(&format!("(core module {module})"), words);
}

#[track_caller]
fn component_refused(parts: &str, words: &str) {
    let component = wat::parse_str(format!("(component {parts})")).unwrap();
    let error = Processor::load(&ENGINE, &component).err().unwrap();
    assert!(matches!(error, LoadError::Invalid(_)), "{parts}: {error:?}");
    let text = error.to_string();
    assert!(text.contains(words), "{parts}: {text}");
}

#[test]
fn function_subtypes() {
    // Declared only; called through a supertype; and as the aborts were reached.
    for module in [
        "(type $s (sub (func)))",
        "(type $s (sub (func))) (type $t (sub $s (func))) (table 1 funcref)
         (elem (i32.const 0) func $f) (func $f (type $t))
         (func (export \"x\") (call_indirect (type $s) (i32.const 0)))",
        "(type $s (sub (func))) (func $f (type $s)) (elem declare func $f)
         (func (export \"x\") (result i32) (ref.test (ref $s) (ref.func $f)))",
        "(type $s (sub (func))) (func $f (type $s)) (elem declare func $f)
         (func (export \"x\") (result (ref null $s))
           (block (result (ref null $s))
             (br_on_cast 0 funcref (ref null $s) (ref.func $f)) (drop) (ref.null $s)))",
        "(rec (type $a (func)) (type $b (func)))",
    ] {
        refused(module, "gc");
    }
}

#[test]
fn garbage_collection() {
    refused("(type (struct (field i32)))", "gc");
    refused("(type (array i32))", "gc");
    refused("(func (param anyref))", "gc");
    refused("(func (param i31ref))", "gc");
}

#[test]
fn function_references() {
    refused("(func (param (ref func)))", "function references");
    refused(
        "(type $f (func)) (func (param (ref null $f)) (call_ref $f (local.get 0)))",
        "function references",
    );
}

#[test]
fn exceptions() {
    refused("(tag (param i32))", "exceptions");
    refused("(func (try_table))", "exceptions");
}

#[test]
fn threads() {
    refused("(memory 1 1 shared)", "threads");
    refused(
        "(memory 1) (func (drop (i32.atomic.load (i32.const 0))))",
        "threads",
    );
    refused("(global (shared i32) (i32.const 0))", "shared");
}

#[test]
fn memories_and_tables_of_64_bits() {
    refused("(memory i64 1)", "memory64");
    refused("(table i64 1 funcref)", "memory64");
}

#[test]
fn several_memories_in_one_module() {
    refused("(memory 1) (memory 1)", "multiple memories");
}

#[test]
fn tail_calls() {
    refused("(func $f (return_call $f))", "tail calls");
    refused(
        "(table 1 funcref) (func (return_call_indirect (i32.const 0)))",
        "tail calls",
    );
}

#[test]
fn constant_expressions_that_compute() {
    refused(
        "(global i32 (i32.add (i32.const 1) (i32.const 2)))",
        "constant expression required",
    );
}

#[test]
fn relaxed_simd() {
    refused(
        "(func (param v128) (result v128)
           (i8x16.relaxed_swizzle (local.get 0) (local.get 0)))",
        "relaxed SIMD",
    );
}

#[test]
fn wide_arithmetic() {
    refused(
        "(func (param i64) (result i64 i64)
           (i64.mul_wide_s (local.get 0) (local.get 0)))",
        "wide arithmetic",
    );
}

#[test]
fn pages_of_other_sizes() {
    refused("(memory 1 (pagesize 1))", "custom page sizes");
}

#[test]
fn stack_switching() {
    refused("(type $f (func)) (type $c (cont $f))", "stack switching");
}

#[test]
fn control_of_memory() {
    refused(
        "(memory 1) (func (memory.discard 0 (i32.const 0) (i32.const 0)))",
        "memory control",
    );
}

#[test]
fn asynchronous_components() {
    component_refused("(type (stream u8))", "async");
    component_refused("(type (future))", "async");
    component_refused("(type (func async))", "async");
    component_refused("(core func (canon task.cancel))", "async");
    component_refused("(core func (canon waitable-set.new))", "async");
    component_refused("(core func (canon thread.yield))", "async");
}

#[test]
fn what_else_components_are_to_become() {
    component_refused("(type error-context)", "error-context");
    component_refused("(type (list u8 4))", "fixed-length lists");
    component_refused("(type (map string u8))", "map");
    component_refused(
        "(core module $m (func (export \"\"))) (core instance $i (instantiate $m))
         (core type $t (func))
         (func (canon lift (core func $i \"\") gc))",
        "gc",
    );
}
