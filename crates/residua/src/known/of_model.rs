//! Which published weights the file of a model is.

use residua_formats::Container;

use super::{Identity, Table};
use crate::error::Result;
use crate::model::Model;

impl Model {
    /// Finds out which published weights its file is; how images are prepared for them counts from then on where the file
    /// says nothing of it. [`None`] where it was not read from a file of a format that published weights are in.
    ///
    /// # Errors
    /// Where the file cannot be read again.
    pub fn identify(&mut self, table: &Table) -> Result<Option<&Identity>> {
        let identity = self.identity_in(table)?;
        let known = identity.as_ref().and_then(|identity| identity.weights.as_ref());
        if let Some(stated) = known.and_then(|known| known.preparation.clone()) {
            let places = &mut self.checked.source_mut().preprocessing;
            if !places.contains(&stated) {
                places.push(stated);
            }
        }
        self.identity = identity.map(Box::new);
        Ok(self.identity())
    }

    /// Which published weights its file is, as [`Model::identify`] finds it out, with nothing changed.
    ///
    /// # Errors
    /// Where the file cannot be read again.
    pub fn identity_in(&self, table: &Table) -> Result<Option<Identity>> {
        let container = self.opened().map(|opened| opened.container());
        let (md5, sha256) = match container {
            Some(Container::Keras(_)) => (true, false),
            Some(Container::Torch(_)) => (false, true),
            Some(Container::Safetensors(_) | Container::Onnx(_)) | None => return Ok(None),
        };
        if !self.path.is_file() {
            return Ok(None);
        }
        table.identify_by(&self.path, md5, sha256).map(Some)
    }

    /// What [`Model::identify`] found out.
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use residua_ir::preparation::{Preprocessing, Resize};

    use super::*;
    use crate::known::identity::tests::table;

    #[test]
    fn known_weights_bring_their_preparation_where_the_file_says_none() {
        let path = residua_tests::folder().join("digits/digits.k3.h5");
        let mut model = Model::open(path.as_path()).unwrap();
        let before = model.preprocessing();
        assert_eq!((before.mode(), before.resize), (Some(Preprocessing::Raw), None));
        let table = table(&path);
        let identity = model.identify(&table).unwrap().cloned().unwrap();
        assert_eq!(identity.weights.map(|known| known.library), Some("keras".to_owned()));
        model.identify(&table).unwrap();
        let known = model.preprocessing();
        assert_eq!(known.mode(), Some(Preprocessing::Tf));
        assert_eq!(known.resize.map(|told| told.value), Some(Resize::Exact { height: 24, width: 24 }));
        assert_eq!((known.reason.as_str(), known.assumed), ("from a class (keras 3)", false));
        let nothing = Model::open(path.as_path()).unwrap().identify(Table::standard()).unwrap().cloned().unwrap();
        assert_eq!((nothing.weights, nothing.hashes.sha256), (None, None));
    }
}
