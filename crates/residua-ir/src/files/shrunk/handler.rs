//! The handler of SIGBUS: within a mapped file a message and the end, else what was there before.
//!
//! Invariant: in the handler nothing is allocated, locked or formatted. It reads atomics and calls `write`, `_exit`, `pause`, `sigaction` and `raise`, which POSIX allows there.

#![expect(unsafe_code, reason = "std has no signals")]

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use super::{NAMELESS, Slot, TABLE, TEXT};

static STATUS: AtomicU8 = AtomicU8::new(0);
/// Whether a thread has come to the end.
static ENDING: AtomicBool = AtomicBool::new(false);
/// What SIGBUS did before; known before the handler is in place.
static FORMER: OnceLock<libc::sigaction> = OnceLock::new();

const NAMELESS_TEXT: &[u8] =
    b"error: cannot read a file\n  because: it became shorter while it was read, or its disk or server failed\n";

/// Puts the handler in place; once, and whether it is.
pub(super) fn install(status: u8) -> bool {
    STATUS.store(status, Ordering::Relaxed);
    let mut former = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: a null action asks for the present one, which is written to `former`.
    if unsafe { libc::sigaction(libc::SIGBUS, ptr::null(), former.as_mut_ptr()) } != 0 {
        return false;
    }
    // SAFETY: the call above has filled it in.
    let former = unsafe { former.assume_init() };
    if FORMER.set(former).is_err() {
        return true;
    }
    let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = on_bus_error;
    // SAFETY: all fields of the structure may be zero: no flags, no signals blocked.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = handler as libc::sighandler_t;
    // On the alternative stack where a thread has one, as std gives it to tell of overflows of the stack.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: the handler has the signature that SA_SIGINFO asks for, lives as long as the process, and does only what a
    // handler may (see above).
    unsafe { libc::sigaction(libc::SIGBUS, &raw const action, ptr::null_mut()) == 0 }
}

extern "C" fn on_bus_error(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: with SA_SIGINFO the kernel passes a structure that lives until the handler returns.
    let code = unsafe { (*info).si_code };
    // Those of the kernel are positive; another process that sends the signal gives no address.
    if code > 0 {
        // SAFETY: as above; for a fault, the address is set.
        let address = unsafe { (*info).si_addr() }.addr();
        match TABLE.iter().find(|slot| slot.holds(address)) {
            Some(slot) => end_with(slot),
            None if NAMELESS.load(Ordering::Relaxed) > 0 => end(NAMELESS_TEXT),
            None => {}
        }
    }
    hand_on(signal, info, context);
}

fn end_with(slot: &Slot) -> ! {
    let mut text = [0; TEXT];
    for (to, byte) in text.iter_mut().zip(&slot.text) {
        *to = byte.load(Ordering::Relaxed);
    }
    end(text.get(..slot.text_len.load(Ordering::Relaxed)).unwrap_or_default())
}

fn end(text: &[u8]) -> ! {
    while ENDING.swap(true, Ordering::Relaxed) {
        // Another thread says so already, and ends this one with the process.
        // SAFETY: waits for a signal, and changes nothing.
        unsafe { libc::pause() };
    }
    // SAFETY: the bytes are on this stack or static, and there are that many. Whether they can be written changes nothing.
    unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len()) };
    // SAFETY: ends the process without running anything else of it.
    unsafe { libc::_exit(STATUS.load(Ordering::Relaxed).into()) }
}

/// What would have happened without this handler.
fn hand_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let Some(former) = FORMER.get() else { return };
    if former.sa_sigaction == libc::SIG_DFL || former.sa_sigaction == libc::SIG_IGN {
        // SAFETY: puts the former action back, which is no handler, and sends the signal again; it is delivered when this
        // one returns.
        unsafe {
            libc::sigaction(signal, former, ptr::null_mut());
            libc::raise(signal);
        }
        return;
    }
    if former.sa_flags & libc::SA_SIGINFO == 0 {
        // SAFETY: neither default nor ignored, and without SA_SIGINFO: the field is a function that takes the signal.
        let handler = unsafe { std::mem::transmute::<libc::sighandler_t, extern "C" fn(c_int)>(former.sa_sigaction) };
        return handler(signal);
    }
    type Handler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);
    // SAFETY: with SA_SIGINFO, the field is a function of this signature.
    let handler = unsafe { std::mem::transmute::<libc::sighandler_t, Handler>(former.sa_sigaction) };
    handler(signal, info, context);
}
