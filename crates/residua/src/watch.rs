//! Who watches what is done, and may end it.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::error::{Error, Result};

type Observer = dyn Fn(&str) -> ControlFlow<()> + Send + Sync;

/// A callback that is told what is being done, and ends it with [`ControlFlow::Break`]: what was asked for then fails with
/// [`Error::Cancelled`], and leaves nothing. By default nobody watches.
///
/// ```
/// use std::ops::ControlFlow;
/// use residua::{Convert, Error, Model, Onnx, Watch};
/// # let digits = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/digits/digits.k3.h5");
/// let watch = Watch::new(|step| match step {
///     "writing" => ControlFlow::Break(()),
///     _ => ControlFlow::Continue(()),
/// });
/// let onnx = Convert { watch, ..Onnx::default().into() };
/// let ended = Model::open(digits)?.convert_in_memory("digits.onnx", onnx);
/// assert!(matches!(ended, Err(Error::Cancelled)));
/// # Ok::<(), residua::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Watch(Option<Arc<Observer>>);

impl Watch {
    /// Calls `observer` with each step, in words, before it begins; from whatever thread does it.
    pub fn new(observer: impl Fn(&str) -> ControlFlow<()> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(observer)))
    }

    /// A step begins.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    #[cfg_attr(not(feature = "engine"), expect(dead_code, reason = "nothing takes long"))]
    pub(crate) fn step(&self, what: &str) -> Result<()> {
        match self.0.as_ref().map(|observer| observer(what)) {
            Some(ControlFlow::Break(())) => Err(Error::Cancelled),
            Some(ControlFlow::Continue(())) | None => Ok(()),
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watch").field(&self.0.is_some()).finish()
    }
}
