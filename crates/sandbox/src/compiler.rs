//! Compiling in a process of its own, under limits on memory and time.
//!
//! A component that somebody else made may be small, be of few parts, and still take
//! minutes and gigabytes to compile, or reach a defect of the compiler that ends its
//! process. So the host starts another one for it, which gets the component's bytes and
//! returns code or an error, and which is ended when it takes too much.
//!
//! That process is any program whose `main` begins with [`compile_for_parent`]; the usual
//! one is the program itself with an argument that only it knows. It gets one socket, no
//! environment, and no file of its parent's, runs at a low priority, and is the first that
//! Linux ends when memory runs out. It ends with its parent.
//!
//! An [`Engine`](crate::Engine) without a compiler compiles in its own process, on a thread
//! of its own, without bounds on memory and time. That is for components that the program
//! brings itself, and for programs that load nothing else.

use crate::config;
use crate::error::LoadError;
use rustix::fs::{FileType, fstat};
use rustix::process::{Resource, Rlimit, nice, setrlimit};
use std::ffi::OsString;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use wasmtime::Engine;
use wasmtime::component::Component;
use watchbell_settings::printable;

/// Stack of a thread that compiles. Types are read and compared recursively, up to the
/// depths that `structure.rs` and wasmparser allow; a debug build takes some 2 MiB.
const STACK_BYTES: usize = 16 << 20;

/// What precedes the component's bytes: limits on memory in bytes and on CPU time in
/// seconds, and the length.
const HEADER_BYTES: usize = 24;

/// What the process answers with, before a length and that many bytes.
const CODE: u8 = 0;
const REFUSED: u8 = 1;
const FAILED: u8 = 2;

/// Bytes of an error.
const ERROR_BYTES: u64 = 16 << 10;

/// What compiling one component may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// Address space of the process that compiles. Components of 12 MB take some 300 MiB.
    pub memory_bytes: u64,
    /// CPU time, in whole seconds. The compiler handles about 1 MB of code a second.
    pub cpu: Duration,
    /// Time until the code must be there, waiting for a processor included.
    pub wall: Duration,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self {
            memory_bytes: 2 << 30,
            cpu: Duration::from_secs(60),
            wall: Duration::from_secs(300),
        }
    }
}

/// How to start a process that compiles.
#[derive(Debug, Clone)]
pub struct Compiler {
    program: PathBuf,
    args: Vec<OsString>,
    limits: CompileLimits,
}

impl Compiler {
    /// `program`, which calls [`compile_for_parent`] when it is started with `args`. It must
    /// be built with this very version of this crate.
    #[must_use]
    pub fn new<A: Into<OsString>>(
        program: impl Into<PathBuf>,
        args: impl IntoIterator<Item = A>,
    ) -> Self {
        Self {
            program: program.into(),
            args: args.into_iter().map(Into::into).collect(),
            limits: CompileLimits::default(),
        }
    }

    /// The program that is running, which calls [`compile_for_parent`] when it is started
    /// with `args`: on Linux that very file, also after an update has replaced it.
    ///
    /// # Errors
    /// When the operating system does not say which it is.
    pub fn this_program<A: Into<OsString>>(args: impl IntoIterator<Item = A>) -> io::Result<Self> {
        let program = if cfg!(target_os = "linux") {
            PathBuf::from("/proc/self/exe")
        } else {
            std::env::current_exe()?
        };
        Ok(Self::new(program, args))
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(self, limits: CompileLimits) -> Self {
        Self { limits, ..self }
    }

    /// A component's code, serialized.
    pub(crate) fn compile(&self, bytes: &[u8]) -> Result<Vec<u8>, LoadError> {
        let told = |error: io::Error| {
            LoadError::Compiler(format!(
                "{} cannot be started: {error}",
                self.program.display()
            ))
        };
        let (mut ours, theirs) = UnixStream::pair().map_err(told)?;
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .env_clear()
            .current_dir("/")
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C is for the parent, which ends it.
            .process_group(0);
        let mut process = Process(command.spawn().map_err(told)?);
        // The parent's copy of the process's end, without which its end is not seen.
        drop(command);
        let deadline = Instant::now() + self.limits.wall;
        match self.ask(&mut ours, bytes, deadline) {
            Ok((CODE, code)) => Ok(code),
            Ok((REFUSED, words)) => Err(LoadError::Invalid(printable(&text(&words)))),
            Ok((_, words)) => Err(LoadError::Compiler(printable(&text(&words)))),
            Err(error) => Err(match error.kind() {
                ErrorKind::TimedOut | ErrorKind::WouldBlock => {
                    limit("time", format!("{:?}", self.limits.wall))
                }
                // Only its end closes its socket.
                ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => {
                    match process.0.wait() {
                        Ok(status) => self.ended(status),
                        Err(error) => LoadError::Compiler(error.to_string()),
                    }
                }
                _ => LoadError::Compiler(error.to_string()),
            }),
        }
    }

    fn ask(
        &self,
        socket: &mut UnixStream,
        bytes: &[u8],
        deadline: Instant,
    ) -> io::Result<(u8, Vec<u8>)> {
        let mut request = Vec::with_capacity(HEADER_BYTES);
        let cpu = self.limits.cpu.as_secs().max(1);
        for number in [self.limits.memory_bytes, cpu, bytes.len() as u64] {
            request.extend(number.to_le_bytes());
        }
        for mut rest in [request.as_slice(), bytes] {
            while !rest.is_empty() {
                socket.set_write_timeout(Some(left(deadline)?))?;
                match socket.write(rest) {
                    Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        }
        socket.shutdown(Shutdown::Write)?;
        let mut answer = Until { socket, deadline };
        let mut kind = [0; 1];
        answer.read_exact(&mut kind)?;
        let most = match kind {
            [CODE] => self.limits.memory_bytes,
            _ => ERROR_BYTES,
        };
        let payload = read_counted(&mut answer, most)?;
        let [kind] = kind;
        Ok((kind, payload))
    }

    /// Why a process gave no answer.
    fn ended(&self, status: ExitStatus) -> LoadError {
        let memory = || format!("{} MiB", self.limits.memory_bytes >> 20);
        match status.signal() {
            Some(signals::XCPU) => limit("CPU time", format!("{:?}", self.limits.cpu)),
            // Rust ends a process that gets no memory so, and a defect ends it so as well.
            Some(signals::ABRT | signals::SEGV) => {
                limit("memory (or on a defect of the compiler)", memory())
            }
            Some(signals::KILL) => LoadError::Compiler(
                "its process was killed, which Linux does when memory runs out".to_owned(),
            ),
            _ => LoadError::Compiler(format!("its process ended with {status}")),
        }
    }
}

fn limit(limit: &'static str, value: String) -> LoadError {
    LoadError::CompileLimit { limit, value }
}

/// Numbers of signals, which are the same on every Unix that Rust knows.
mod signals {
    use rustix::process::Signal;

    pub(super) const ABRT: i32 = Signal::ABORT.as_raw();
    pub(super) const SEGV: i32 = Signal::SEGV.as_raw();
    pub(super) const KILL: i32 = Signal::KILL.as_raw();
    pub(super) const XCPU: i32 = Signal::XCPU.as_raw();
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A process that is ended with what it is for.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A socket that is read until a deadline.
struct Until<'s> {
    socket: &'s mut UnixStream,
    deadline: Instant,
}

impl Read for Until<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(Some(left(self.deadline)?))?;
        self.socket.read(buffer)
    }
}

/// The time until a deadline. A timeout of zero would be none.
fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(ErrorKind::TimedOut.into());
    }
    Ok(left)
}

/// A length and that many bytes. Memory is taken as they come.
fn read_counted(from: &mut impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut length = [0; 8];
    from.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    if length > most {
        return Err(ErrorKind::FileTooLarge.into());
    }
    let mut bytes = Vec::new();
    from.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != length {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}

/// Compiles in this process, on a thread with the stack that it takes.
pub(crate) fn compile_here(engine: &Engine, bytes: &[u8]) -> Result<Component, LoadError> {
    aside(|| Component::new(engine, bytes))?.map_err(|e| LoadError::invalid(&e))
}

/// Does work on a thread of its own. A panic there is an error here.
pub(crate) fn aside<R: Send>(work: impl FnOnce() -> R + Send) -> Result<R, LoadError> {
    let failed = |words: &str| LoadError::Compiler(words.to_owned());
    let thread = std::thread::Builder::new()
        .name("compiler".to_owned())
        .stack_size(STACK_BYTES);
    std::thread::scope(|scope| match thread.spawn_scoped(scope, work) {
        Ok(work) => work.join().map_err(|panic| {
            let words = panic.downcast_ref::<String>().map(String::as_str);
            let words = words.or_else(|| panic.downcast_ref::<&str>().copied());
            failed(&format!(
                "it panicked: {}",
                printable(words.unwrap_or("without a word"))
            ))
        }),
        Err(error) => Err(failed(&format!("its thread cannot be started: {error}"))),
    })
}

/// The other end of a [`Compiler`]: reads a component from standard input, which must be
/// the socket that the parent made, and answers there with its code. To be called first of
/// all in `main`: it closes every other file, and takes on limits that end the process.
///
/// # Errors
/// When standard input is not the parent's, or the parent is gone.
pub fn compile_for_parent() -> io::Result<()> {
    let stdin = io::stdin();
    let mode = fstat(stdin.as_fd())?.st_mode;
    if FileType::from_raw_mode(mode) != FileType::Socket {
        return Err(io::Error::new(
            ErrorKind::InvalidInput,
            "standard input is not a parent's socket",
        ));
    }
    close_inherited();
    let mut socket = UnixStream::from(stdin.as_fd().try_clone_to_owned()?);
    let mut numbers = [0; HEADER_BYTES - 8];
    socket.read_exact(&mut numbers)?;
    let (memory, cpu) = numbers.split_at(8);
    let number = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
    confine(number(memory), number(cpu))?;
    let bytes = read_counted(&mut socket, u64::MAX)?;
    let (kind, payload) = match compile_in_child(&bytes) {
        Ok(code) => (CODE, code),
        Err(LoadError::Invalid(words)) => (REFUSED, words.into_bytes()),
        Err(LoadError::Compiler(words)) => (FAILED, words.into_bytes()),
        Err(error) => (FAILED, error.to_string().into_bytes()),
    };
    socket.write_all(&[kind])?;
    socket.write_all(&(payload.len() as u64).to_le_bytes())?;
    socket.write_all(&payload)
}

fn compile_in_child(bytes: &[u8]) -> Result<Vec<u8>, LoadError> {
    let engine = Engine::new(&config::for_code()).map_err(|e| LoadError::engine(&e))?;
    aside(|| engine.precompile_component(bytes))?.map_err(|e| LoadError::invalid(&e))
}

/// Takes limits on, and as little of the machine as it can.
fn confine(memory_bytes: u64, cpu_secs: u64) -> io::Result<()> {
    // Ends with its parent, which may have ended before.
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    let at_most = |soft: u64, hard: u64| Rlimit {
        current: Some(soft),
        maximum: Some(hard),
    };
    // Nobody may give more than it has.
    setrlimit(Resource::As, at_most(memory_bytes, memory_bytes))?;
    setrlimit(Resource::Cpu, at_most(cpu_secs, cpu_secs.saturating_add(5)))?;
    setrlimit(Resource::Core, at_most(0, 0))?;
    // Neither has to work: they are for the others' sake.
    let _ = nice(10);
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    Ok(())
}

/// Closes what the parent had open and did not mean to hand over, because it had inherited
/// it itself.
fn close_inherited() {
    let open: Vec<RawFd> = std::fs::read_dir("/dev/fd")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    // The folder that was listed is closed again, and was among them.
    let is_open = |fd: &RawFd| std::fs::symlink_metadata(format!("/dev/fd/{fd}")).is_ok();
    for fd in open.into_iter().filter(|fd| *fd > 2 && is_open(fd)) {
        // SAFETY: nothing of this process owns a file yet but standard input and output, as
        // the function's callers are told.
        #[allow(unsafe_code)]
        unsafe {
            rustix::io::close(fd);
        }
    }
}
