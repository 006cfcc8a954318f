//! What `latchkey dev` prints: where it listens, and three things to try that work as printed.

use crate::{Layout, Ports, SeededKey};
use std::fmt::Write as _;
use std::path::Path;

/// Sends one call: the port, the method, the request as JSON. `{folder}` is where the secrets lie.
const CALL: &str = r#"call() { grpcurl -plaintext -H "authorization: Bearer $(cat {root_key})" -d "$3" "127.0.0.1:$1" "latchkey.v1.$2"; }"#;

/// What to try. `{issuance}` and `{validation}` are ports.
const STEPS: &str = r#"# 1. Make a tenant, a keyspace and a key. The key text is shown once.
call {issuance} DirectoryService/CreateTenant '{"tenantId": "acme", "tenant": {}}'
call {issuance} DirectoryService/CreateKeyspace '{"parent": "tenants/acme", "keyspaceId": "orders", "keyspace": {"prefix": "acme_live", "environment": "production", "allowedPermissions": ["orders:*"]}}'
made=$(call {issuance} IssuanceService/CreateKey '{"parent": "tenants/acme/keyspaces/orders", "permissions": ["orders:read"]}'); echo "$made"
field() { echo "$made" | sed -n "s/.*\"$1\": \"\([^\"]*\)\".*/\1/p" | head -n 1; }

# 2. Validate it.
call {validation} ValidationService/ValidateKey "{\"keyText\": \"$(field keyText)\", \"permissionQuery\": \"orders:read\"}"

# 3. Revoke it, and see who has stopped accepting it; then do 2 again.
call {issuance} IssuanceService/RevokeKey "{\"name\": \"$(field name)\", \"reason\": \"REVOCATION_REASON_COMPROMISED\"}"
"#;

/// The commands to try, for a shell: what they need, and three steps.
#[must_use]
pub fn commands(root_key: &Path, ports: Ports) -> String {
    let call = CALL.replace("{root_key}", &root_key.display().to_string());
    let steps = STEPS
        .replace("{issuance}", &ports.issuance().port().to_string())
        .replace("{validation}", &ports.validation().port().to_string());
    format!("{call}\n\n{steps}")
}

/// All that is printed once everything serves.
#[must_use]
pub fn text(layout: &Layout, ports: Ports, first: bool, seeded: &[SeededKey]) -> String {
    let mut text = String::new();
    let begun = if first { "A new cluster of one replica" } else { "The cluster of one replica" };
    let _ = writeln!(
        text,
        "{begun} serves, data in {}, secrets in {}.\n",
        layout.data().display(),
        layout.secrets().display()
    );
    for (service, address, metrics) in [
        ("issuance, directory", ports.issuance(), ports.issuance_metrics()),
        ("validation, cluster", ports.validation(), ports.validation_metrics()),
        ("rotation", ports.rotation(), ports.rotation_metrics()),
        ("audit", ports.audit(), ports.audit_metrics()),
    ] {
        let _ = writeln!(text, "  {service:<22}{address}   metrics http://{metrics}/metrics");
    }
    let _ = writeln!(text, "  {:<22}http://{}", "audit log, as tiles", ports.tiles());
    if !seeded.is_empty() {
        let _ = writeln!(text, "\nKey texts of the seed, and what a validation of each gives:\n");
        for key in seeded {
            let _ = writeln!(text, "  {:<30}{}", key.outcome, key.file.display());
        }
    }
    let _ = writeln!(text, "\nIn another terminal the command line, as root:\n");
    let _ = writeln!(
        text,
        "  . {}\n  latchkey doctor\n  latchkey help    # what there is, and what to begin with\n",
        layout.env().display()
    );
    let _ = writeln!(text, "The same without it (go install github.com/fullstorydev/grpcurl/cmd/grpcurl@latest):\n");
    text + &commands(&layout.root_key(), ports) + "\nCtrl-C ends it; the data stays.\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_wire::FILE_DESCRIPTOR_SET;
    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    const README: &str = include_str!("../../../README.md");

    #[test]
    fn the_readme_says_the_same() {
        let commands = commands(Path::new(".latchkey-dev/secrets/root.key"), Ports::default());
        assert!(README.contains(&commands), "the README should contain:\n{commands}");
    }

    #[test]
    fn every_method_of_the_guide_is_served() {
        let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("our own descriptors decode");
        let services = set.file.iter().filter(|file| file.package() == "latchkey.v1").flat_map(|file| &file.service);
        let methods: Vec<String> = services
            .flat_map(|service| service.method.iter().map(|method| format!("{}/{}", service.name(), method.name())))
            .collect();
        let named: Vec<&str> = STEPS.split_whitespace().filter(|word| word.contains("Service/")).collect();
        assert_eq!(named.len(), 5);
        for method in named {
            assert!(methods.iter().any(|served| served == method), "{method}");
        }
    }

    #[test]
    fn the_root_key_is_named_and_never_shown() {
        let text = text(&Layout::new("dev".into()), Ports::default(), true, &[]);
        assert!(text.contains("$(cat dev/secrets/root.key)") && !text.contains("lkm_"), "{text}");
    }
}
