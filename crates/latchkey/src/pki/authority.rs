//! The root in its folder, and what it issues.

use super::pem_files::{read, read_private, write_private, write_public};
use super::{PkiError, describe, unix_seconds};
use latchkey_domain::{TrustDomain, Workload};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use std::path::{Path, PathBuf};
use time::OffsetDateTime;
use zeroize::Zeroizing;

/// For how long a root is good.
const ROOT_DAYS: u32 = 3_653;

/// Clocks differ: what is issued is good from a little before.
const BEFORE_SECONDS: i64 = 300;

const DAY_SECONDS: i64 = 86_400;

/// A root whose folder is open.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    trust_domain: TrustDomain,
    folder: PathBuf,
    not_after: i64,
}

/// What is to be issued.
pub(crate) struct Wanted<'a> {
    pub(crate) workload: &'a Workload,
    /// Names and addresses under which it is reached, for clients that check those.
    pub(crate) hosts: &'a [String],
    pub(crate) days: u32,
}

/// A certificate and its key, as PEM.
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: Zeroizing<String>,
}

impl Authority {
    /// Makes a root, once, in a folder that is made where it is not there.
    pub(crate) fn found(folder: &Path, trust_domain: &TrustDomain) -> Result<Self, PkiError> {
        let (root, key_file) = files(folder);
        for path in [&root, &key_file] {
            if path.exists() {
                return Err(PkiError::Exists { path: path.clone() });
            }
        }
        let key = KeyPair::generate()?;
        let mut params = dated(ROOT_DAYS)?;
        // A name of its own, so that two roots of one domain are told apart.
        let mark: String = key.public_key_raw().iter().rev().take(4).map(|byte| format!("{byte:02x}")).collect();
        params.distinguished_name = named(&format!("Latchkey root {mark} of {trust_domain}"));
        params.subject_alt_names = vec![SanType::URI(format!("spiffe://{trust_domain}").try_into()?)];
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?;
        write_private(&key_file, &Zeroizing::new(key.serialize_pem()))?;
        write_public(&root, &certificate.pem())?;
        Self::open(folder)
    }

    /// Opens a root that was made before.
    pub(crate) fn open(folder: &Path) -> Result<Self, PkiError> {
        let (root, key_file) = files(folder);
        let content = |expected| PkiError::Content { path: root.clone(), expected };
        let pem = read(&root)?;
        let described = describe(&pem).into_iter().next().ok_or_else(|| content("a certificate as PEM"))?;
        let domain = described.uris.iter().find_map(|uri| uri.strip_prefix("spiffe://")).and_then(TrustDomain::parse);
        let trust_domain = domain.ok_or_else(|| content("a root that latchkey pki init has made"))?;
        let expected = "the private key of the root, as PEM";
        let key = KeyPair::from_pem(&read_private(&key_file)?);
        let key = key.map_err(|_| PkiError::Content { path: key_file.clone(), expected })?;
        let issuer = Issuer::from_ca_cert_pem(&pem, key)?;
        Ok(Self { issuer, trust_domain, folder: folder.to_owned(), not_after: described.not_after })
    }

    /// The file with its certificate.
    pub(crate) fn root(&self) -> PathBuf {
        files(&self.folder).0
    }

    pub(crate) const fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// Issues a certificate with a key of its own. One id, and the hosts beside it.
    pub(crate) fn issue(&self, wanted: &Wanted<'_>) -> Result<Issued, PkiError> {
        let root_days = (self.not_after - unix_seconds()) / DAY_SECONDS;
        if root_days < i64::from(wanted.days) {
            return Err(PkiError::RootEnds { root_days, days: wanted.days });
        }
        let mut params = dated(wanted.days)?;
        params.distinguished_name = named(&wanted.workload.to_string());
        params.subject_alt_names = vec![SanType::URI(self.trust_domain.id(wanted.workload).try_into()?)];
        for host in wanted.hosts {
            let name = match host.parse() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(host_name(host)?),
            };
            params.subject_alt_names.push(name);
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Issued { certificate: certificate.pem(), key: Zeroizing::new(key.serialize_pem()) })
    }
}

fn files(folder: &Path) -> (PathBuf, PathBuf) {
    (folder.join("root.pem"), folder.join("root.key"))
}

fn host_name(host: &str) -> Result<rcgen::string::Ia5String, PkiError> {
    let signs = |byte: u8| byte.is_ascii_alphanumeric() || b".-_*".contains(&byte);
    let shaped = (1..=253).contains(&host.len()) && host.bytes().all(signs);
    let name = if shaped { host.try_into().ok() } else { None };
    name.ok_or_else(|| PkiError::Host(host.to_owned()))
}

fn dated(days: u32) -> Result<CertificateParams, PkiError> {
    let now = unix_seconds();
    let moment = |seconds| OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| rcgen::Error::Time);
    let mut params = CertificateParams::default();
    params.not_before = moment(now - BEFORE_SECONDS)?;
    params.not_after = moment(now + i64::from(days) * DAY_SECONDS)?;
    Ok(params)
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn founded() -> (tempfile::TempDir, Authority) {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::found(folder.path(), &TrustDomain::parse("latchkey.example").unwrap()).unwrap();
        (folder, authority)
    }

    #[test]
    fn a_root_is_made_once_and_its_key_is_for_its_owner_only() {
        let (folder, authority) = founded();
        let mode = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("root.key"), mode("root.pem")), (0o600, 0o644));
        let again = Authority::found(folder.path(), authority.trust_domain()).err().unwrap();
        assert!(matches!(again, PkiError::Exists { .. }), "{again}");
        std::fs::set_permissions(folder.path().join("root.key"), std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Authority::open(folder.path()), Err(PkiError::Mode { mode: 0o640, .. })));
    }

    #[test]
    fn what_is_issued_names_its_one_id_and_its_hosts_for_as_long_as_was_asked() {
        let (_folder, authority) = founded();
        let workload = Workload::parse("replica/3").unwrap();
        let hosts = ["replica-3.example".to_owned(), "10.0.0.3".to_owned()];
        let issued = authority.issue(&Wanted { workload: &workload, hosts: &hosts, days: 30 }).unwrap();
        let [described] = &describe(&issued.certificate)[..] else { panic!("one certificate") };
        assert_eq!(described.uris, ["spiffe://latchkey.example/replica/3"]);
        assert_eq!(described.hosts, hosts);
        assert_eq!(described.not_after - described.not_before, 30 * DAY_SECONDS + BEFORE_SECONDS);
        let too_long = authority.issue(&Wanted { workload: &workload, hosts: &[], days: ROOT_DAYS + 1 });
        assert!(matches!(too_long, Err(PkiError::RootEnds { .. })));
        let wrong = authority.issue(&Wanted { workload: &workload, hosts: &["a b".to_owned()], days: 1 });
        assert!(matches!(wrong, Err(PkiError::Host(_))));
    }
}
