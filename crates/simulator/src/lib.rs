//! A simulated Defender to run against.
//!
//! One HTTP service on loopback with the two endpoints that a client of the SIEM
//! API sees: the v1 token endpoint and the detections. Detections are computed
//! from a seed, never stored, so that a test can compute the set that it must
//! have received, and a million of them stream in flat memory. [`fault`] says
//! what can be made to go wrong, [`control`] how from another process.
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use watchbell_simulator::{Config, Simulator};
//! let config = Config { rate: 600.0, faults: vec!["token:503:times=1".parse()?], ..Config::default() };
//! let running = Simulator::start(config).await?;
//! println!("endpoint {}, authority {}", running.endpoint(), running.authority());
//! running.stop().await;
//! # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
//! ```

pub mod control;
pub mod fault;

mod body;
mod catalog;
mod clock;
mod config;
mod detections;
mod error;
mod query;
mod random;
mod refusal;
mod serve;
mod server;
mod shape;
mod slot;
mod state;
mod stories;
mod text;
mod timeline;
mod token;
mod world;

pub use catalog::{Catalog, Detection, Filter};
pub use clock::Clock;
pub use config::{
    Bounds, Bursts, CLIENT_ID, CLIENT_SECRET, Client, Config, Late, Shapes, TENANT_ID, TokenAnswer,
};
pub use error::Error;
pub use fault::{BadElement, Effect, Fault, FaultError, RetryAfter, Stage};
pub use server::{Running, Simulator};
pub use state::{Exchange, Stats};
