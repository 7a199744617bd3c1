//! What speaks of an image: bills of materials, signatures. By the registry's list of them, or where it keeps none by an
//! index under a tag made of the image's digest.

use ureq::http::{Method, StatusCode, header};

use super::{Registry, RegistryError, expect, whole};
use crate::documents::{self, Descriptor, Index};
use crate::oci::{self, Labels};

impl Registry {
    /// Descriptors of all manifests whose subject is `digest`.
    pub fn referrers(&self, digest: &str) -> Result<Vec<Descriptor>, RegistryError> {
        let url = self.url(&format!("referrers/{digest}"));
        let answer = self.call(&Method::GET, &url, &[(header::ACCEPT, oci::INDEX_TYPE)], None)?;
        if answer.status() == StatusCode::NOT_FOUND {
            return self.tagged(digest);
        }
        let bytes = whole(&url, expect(&url, answer, StatusCode::OK)?, documents::MAX_LEN)?;
        self.index(url, &bytes)
    }

    /// Adds a manifest to the index under the tag. Whoever does the same at the same moment may win.
    pub fn tag_referrer(&self, subject: &str, referrer: &oci::Descriptor) -> Result<(), RegistryError> {
        let known = self.tagged(subject)?;
        if known.iter().any(|known| known.digest == referrer.digest) {
            return Ok(());
        }
        let mut all: Vec<oci::Descriptor> = known.into_iter().map(oci::Descriptor::from).collect();
        all.push(referrer.clone());
        self.write_manifest(&tag(subject), oci::INDEX_TYPE, &oci::index(&all, &Labels::new())).map(drop)
    }

    fn tagged(&self, digest: &str) -> Result<Vec<Descriptor>, RegistryError> {
        match self.manifest(&tag(digest))? {
            Some(index) => self.index(self.url(&format!("manifests/{}", tag(digest))), &index.bytes),
            None => Ok(Vec::new()),
        }
    }

    fn index(&self, url: String, bytes: &[u8]) -> Result<Vec<Descriptor>, RegistryError> {
        let index = documents::parse::<Index>(bytes);
        index.map(|index| index.manifests).map_err(|reason| RegistryError::Protocol {
            url,
            what: format!("the list of referrers is not a valid index: {reason}"),
        })
    }
}

fn tag(digest: &str) -> String {
    digest.replace(':', "-")
}
