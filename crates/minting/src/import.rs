//! Keys that another system made: what is kept of their texts, and the ids that they get here.

use crate::contexts;
use crate::mint::{KeyDetails, Mint};
use alloc::string::String;
use core::fmt;
use latchkey_crypto::envelope::{self, SALT_BYTES};
use latchkey_crypto::{Entropy, Inner, draw, draw_key_id, draw_version_id, parse};
use latchkey_domain::{ImportFormat, ImportRefusal, ImportStart};
use latchkey_state::{NewKey, NewVersion};
use zeroize::Zeroizing;

/// SHA-256 of nothing: what an export holds where the text of a key was lost.
const OF_NOTHING: [u8; 32] = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41,
    0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// What the other system tells of a key text.
pub enum ImportMaterial {
    /// The digest that the format names.
    Digest([u8; 32]),
    /// The text itself. Zeroed on drop.
    Text(Zeroizing<String>),
}

/// What is kept of a foreign key text.
#[derive(Debug)]
pub struct ImportProof {
    /// The digest that was imported.
    pub inner: Inner,
    /// The first characters.
    pub start: ImportStart,
}

impl ImportMaterial {
    /// A text, which is zeroed when this is dropped.
    #[must_use]
    pub fn text(text: String) -> Self {
        Self::Text(Zeroizing::new(text))
    }

    /// What is kept of the text, whose form is said to be `format` and whose beginning is said to be `start`.
    ///
    /// # Errors
    /// [`ImportRefusal`]: the first thing that does not fit.
    pub fn proof(&self, format: &ImportFormat, start: &ImportStart) -> Result<ImportProof, ImportRefusal> {
        match self {
            Self::Digest(digest) if *digest == OF_NOTHING || *digest == [0; 32] => Err(ImportRefusal::DigestInvalid),
            Self::Digest(digest) => {
                let proof = ImportProof { inner: Inner::new(*digest), start: start.clone() };
                format.may_begin_with(start).then_some(proof).ok_or(ImportRefusal::StartInvalid)
            }
            Self::Text(text) => of_text(text, format, start),
        }
    }
}

fn of_text(text: &str, format: &ImportFormat, start: &ImportStart) -> Result<ImportProof, ImportRefusal> {
    // A text of our own form is read as such wherever it is shown, so it would never be found.
    let shaped = format.shape(text).filter(|_| parse(text).is_none()).ok_or(ImportRefusal::ShapeMismatch)?;
    let start = match format.compares_start() && start.is_empty() {
        true => ImportStart::parse(shaped.head()).ok_or(ImportRefusal::StartInvalid)?,
        false => start.clone(),
    };
    if !text.starts_with(start.as_str()) || !format.may_begin_with(&start) {
        return Err(ImportRefusal::StartInvalid);
    }
    Ok(ImportProof { inner: Inner::of_foreign(shaped.hashed(format.digest())), start })
}

impl Mint<'_> {
    /// Draws the ids of a key whose text another system made, and seals what is kept of that text.
    pub fn imported(&self, inner: &Inner, details: KeyDetails, entropy: &mut (impl Entropy + ?Sized)) -> NewKey {
        let key = draw_key_id(entropy);
        let version = draw_version_id(entropy);
        let place = contexts::inner(self.cluster, self.tenant, &version);
        let salt = draw::<SALT_BYTES>(entropy);
        let sealed = envelope::seal(self.data_key.key, self.data_key.number, &place, salt, inner.expose());
        let new = NewVersion {
            id: version,
            pepper: self.pepper.number,
            digest: self.pepper.key.digest(inner),
            inner: sealed.try_into().expect("an inner digest has one length, and so has its envelope"),
        };
        details.into_new_key(key, &new)
    }
}

/// Neither a text nor its digest is ever printed.
impl fmt::Debug for ImportMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest(_) => f.write_str("Digest(32 bytes)"),
            Self::Text(text) => write!(f, "Text({} characters)", text.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Numbered;
    use crate::test_support::Seeded;
    use latchkey_crypto::{DataKey, Pepper, Secret, compose};
    use latchkey_domain::{
        ClusterId, ImportAlphabet, ImportDigest, ImportFormatId, ImportPart, Prefix, RingNumber, TenantNumber,
        VersionId,
    };

    const TEXT: &str = "mycompany_BRTRKFsL_51FwqftsmMDHHbJAMEXXHCgG";

    fn format(digest: ImportDigest) -> ImportFormat {
        let base58 = |length_min, length_max| ImportPart { alphabet: ImportAlphabet::Base58, length_min, length_max };
        let id = ImportFormatId::parse("seam").unwrap();
        ImportFormat::new(id, digest, "mycompany_", vec![base58(8, 8), base58(20, 24)]).unwrap()
    }

    fn text(text: &str) -> ImportMaterial {
        ImportMaterial::text(text.to_owned())
    }

    fn start(text: &str) -> ImportStart {
        ImportStart::parse(text).unwrap()
    }

    #[test]
    fn a_text_and_its_digest_prove_the_same() {
        for (kind, hashed) in [(ImportDigest::Sha256OfText, TEXT), (ImportDigest::Sha256OfLastPart, &TEXT[19..])] {
            let format = format(kind);
            let by_text = text(TEXT).proof(&format, &ImportStart::default()).unwrap();
            assert_eq!(by_text.inner.expose(), Inner::of_foreign(hashed).expose());
            let digest = ImportMaterial::Digest(*by_text.inner.expose());
            let by_digest = digest.proof(&format, &start("mycompany_BRTRKFsL")).unwrap();
            assert_eq!(by_digest.inner.expose(), by_text.inner.expose());
            let kept = if kind == ImportDigest::Sha256OfText { "" } else { "mycompany_BRTRKFsL" };
            assert_eq!(by_text.start.as_str(), kept);
        }
    }

    #[test]
    fn each_thing_that_does_not_fit_has_its_word() {
        let format = format(ImportDigest::Sha256OfLastPart);
        let refusal = |material: &ImportMaterial, start: &ImportStart| material.proof(&format, start).unwrap_err();
        let nothing = ImportStart::default();
        assert_eq!(refusal(&text("mycompany_BRTRKFsL"), &nothing), ImportRefusal::ShapeMismatch);
        assert_eq!(refusal(&text(TEXT), &start("mycompany_BRTRKFsM")), ImportRefusal::StartInvalid);
        assert_eq!(refusal(&ImportMaterial::Digest([7; 32]), &nothing), ImportRefusal::StartInvalid);
        for digest in [[0; 32], OF_NOTHING] {
            assert_eq!(refusal(&ImportMaterial::Digest(digest), &nothing), ImportRefusal::DigestInvalid);
        }
        assert_eq!(Inner::of_foreign("").expose(), &OF_NOTHING);
    }

    #[test]
    fn a_text_of_our_own_form_is_not_imported() {
        let version = VersionId::parse("0000000000000001").unwrap();
        let secret = Secret::draw(&mut Seeded(1));
        let own = compose(&Prefix::parse("acme").unwrap(), version, &secret);
        let alphanumeric =
            |length| ImportPart { alphabet: ImportAlphabet::Alphanumeric, length_min: length, length_max: length };
        let parts = vec![alphanumeric(16), alphanumeric(38)];
        let id = ImportFormatId::parse("own").unwrap();
        let format = ImportFormat::new(id, ImportDigest::Sha256OfText, "acme_", parts).unwrap();
        assert!(format.shape(own.expose()).is_some());
        let refusal = text(own.expose()).proof(&format, &ImportStart::default()).unwrap_err();
        assert_eq!(refusal, ImportRefusal::ShapeMismatch);
    }

    #[test]
    fn what_is_kept_opens_in_its_own_place_and_shows_nothing() {
        let (prefix, data_key, pepper) =
            (Prefix::parse("acme").unwrap(), DataKey::new([0x11; 32]), Pepper::new(&[0x22; 32]));
        let cluster = ClusterId([0xC1; 16]);
        let mint = Mint {
            cluster,
            tenant: TenantNumber(2),
            prefix: &prefix,
            data_key: Numbered::new(RingNumber(6), &data_key),
            pepper: Numbered::new(RingNumber(2), &pepper),
        };
        let proof = text(TEXT).proof(&format(ImportDigest::Sha256OfText), &ImportStart::default()).unwrap();
        let new = mint.imported(&proof.inner, KeyDetails::default(), &mut Seeded(5));
        assert!(pepper.digest(&proof.inner).matches(&new.digest));
        let place = contexts::inner(cluster, TenantNumber(2), &new.version);
        assert_eq!(envelope::open(&data_key, &place, &new.inner).unwrap().as_slice(), proof.inner.expose());
        assert_eq!(format!("{:?}", text(TEXT)), "Text(43 characters)");
        assert_eq!(format!("{:?}", ImportMaterial::Digest([7; 32])), "Digest(32 bytes)");
    }
}
