//! What a store holds: for a plugin its meter, for a source also the tables and hooks
//! of `wasi:http`.

use crate::http::Hooks;
use crate::limits::Meter;
use wasmtime::component::ResourceTable;
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};
use wasmtime_wasi_io::IoView;

/// State that counts what its store uses.
pub(crate) trait Metered {
    fn meter(&mut self) -> &mut Meter;
}

/// A store that reaches nothing.
pub(crate) struct Pure {
    meter: Meter,
}

impl Pure {
    pub(crate) fn new(meter: Meter) -> Self {
        Self { meter }
    }
}

impl Metered for Pure {
    fn meter(&mut self) -> &mut Meter {
        &mut self.meter
    }
}

/// A store whose guest may send HTTP requests.
pub(crate) struct Online {
    pub(crate) meter: Meter,
    pub(crate) table: ResourceTable,
    pub(crate) context: WasiHttpCtx,
    pub(crate) hooks: Hooks,
}

impl Metered for Online {
    fn meter(&mut self) -> &mut Meter {
        &mut self.meter
    }
}

impl IoView for Online {
    fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }
}

impl WasiHttpView for Online {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.hooks,
            table: &mut self.table,
            ctx: &mut self.context,
        }
    }
}
