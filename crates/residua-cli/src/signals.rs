//! What signals do to the program: those that end it clean up first, and those that tell of a failing file become errors.
//!
//! This is for the main function, and an explicit call: a library changes nothing about the process that it is part of. Systems without such signals do nothing here; on
//! Windows, Ctrl-C ends the program at once, and what is left is removed by the next run.

use residua::ir::files::shrunk;

/// From now on:
///
/// - SIGINT, SIGTERM and SIGHUP remove what is not at its place yet, and then end the process as they would have without this. Outputs that are just being moved get to
///   their places first. A second signal ends the process at once. A signal that was ignored before, as `nohup` does it, stays so.
/// - A file that grows beyond what the process may write (SIGXFSZ) is an error of writing it.
/// - A mapped file that becomes shorter (SIGBUS) is an error with status 2, see [`shrunk::exit_with_message`].
pub fn handle_signals() {
    shrunk::exit_with_message(2);
    #[cfg(unix)]
    if let Err(error) = unix::handle() {
        // The program works without; what a signal leaves is removed by the next run.
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), "warning: signals cannot be handled: {error}");
    }
}

#[cfg(unix)]
mod unix {
    use std::ffi::c_int;
    use std::io;
    use std::mem::MaybeUninit;
    use std::ptr;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::thread;

    use residua::emit::place;
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;
    use signal_hook::{flag, low_level};

    pub(super) fn handle() -> io::Result<()> {
        // With a handler that does nothing, the write that went too far fails with EFBIG.
        flag::register(libc::SIGXFSZ, Arc::new(AtomicBool::new(false)))?;
        let mut ending = Vec::new();
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            if !is_ignored(signal)? {
                ending.push(signal);
            }
        }
        let again = Arc::new(AtomicBool::new(false));
        for &signal in &ending {
            // In this order: the first signal finds it unset.
            flag::register_conditional_default(signal, Arc::clone(&again))?;
            flag::register(signal, Arc::clone(&again))?;
        }
        let mut signals = Signals::new(&ending)?;
        let wait = move || {
            if let Some(signal) = signals.forever().next() {
                place::abandon_all();
                // Ends the process, so that whoever waits for it sees the signal.
                let _ = low_level::emulate_default_handler(signal);
            }
        };
        thread::Builder::new().name("signals".to_owned()).spawn(wait).map(|_| ())
    }

    #[expect(unsafe_code, reason = "std and signal-hook say nothing of what a signal does now")]
    fn is_ignored(signal: c_int) -> io::Result<bool> {
        let mut action = MaybeUninit::<libc::sigaction>::uninit();
        // SAFETY: a null action asks for the present one, which is written to `action`.
        if unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call above has filled it in.
        Ok(unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN)
    }
}
