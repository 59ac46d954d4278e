//! A sign of life on stderr for work of more than a second, where somebody is watching.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use residua::Watch;
use residua::ir::name::printable;

use crate::console::Console;

const PATIENCE: Duration = Duration::from_secs(1);

/// Shows what is being done for as long as it lives.
pub(crate) struct Progress {
    bar: ProgressBar,
    done: Option<mpsc::Sender<()>>,
    watcher: Option<JoinHandle<()>>,
}

impl Progress {
    /// Starts to wait; nothing is shown within the first second, nor where stderr is no terminal.
    pub(crate) fn start(console: &Console, what: impl Into<String>) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden())
            .with_style(ProgressStyle::default_spinner())
            .with_message(printable(&what.into()).into_owned());
        if console.quiet() || !std::io::stderr().is_terminal() {
            return Self { bar, done: None, watcher: None };
        }
        let (done, wait) = mpsc::channel();
        let shown = bar.clone();
        let watcher = std::thread::spawn(move || {
            if wait.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                shown.set_draw_target(ProgressDrawTarget::stderr());
                shown.enable_steady_tick(Duration::from_millis(100));
            }
        });
        Self { bar, done: Some(done), watcher: Some(watcher) }
    }

    /// Shows the steps of what the library does.
    pub(crate) fn watch(&self) -> Watch {
        let bar = self.bar.clone();
        Watch::new(move |step| {
            bar.set_message(printable(step).into_owned());
            ControlFlow::Continue(())
        })
    }

    /// Says what is done now.
    pub(crate) fn step(&self, what: impl Into<String>) {
        self.bar.set_message(printable(&what.into()).into_owned());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.done.take());
        if let Some(watcher) = self.watcher.take() {
            // A watcher that failed has nothing on the screen.
            let _ = watcher.join();
        }
        self.bar.finish_and_clear();
    }
}
