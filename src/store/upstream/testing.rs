//! A seal for tests.

use zeroize::Zeroizing;

use super::reserved::Seal;

/// Seals with a key that everybody knows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TestSeal;

impl Seal for TestSeal {
    fn seal(&self, name: &str, plain: &[u8]) -> Result<Vec<u8>, String> {
        let key = crate::kms::ServiceKey::new([9; 32]).attribute_key();
        crate::sse::seal_record(&key, "test", name.as_bytes(), plain).map_err(|error| error.to_string())
    }

    fn open(&self, name: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let key = crate::kms::ServiceKey::new([9; 32]).attribute_key();
        crate::sse::open_record(&key, "test", name.as_bytes(), sealed).ok()
    }
}
