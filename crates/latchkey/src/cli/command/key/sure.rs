//! A question before somebody locks themselves out: the management key in use, and any key of root, the last resort.

use crate::cli::confirm::question;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::names;
use latchkey_wire::pb::v1 as pb;

/// Where the keys lie that open Latchkey itself.
const MANAGEMENT: &str = "tenants/system/keyspaces/management/keys/";

/// The identity that nobody else can help.
const ROOT: &str = "tenants/system/identities/root";

/// Asks where `name`, a key or a version of one, opens Latchkey itself for whoever asks or for root. Keys of others are
/// nobody's own branch.
///
/// # Errors
/// [`CliError`]: it is not there, or the answer is a no.
pub(super) async fn agreed(context: &Context, name: &str, deed: &str) -> Result<(), CliError> {
    let Some(rest) = name.strip_prefix(MANAGEMENT) else { return Ok(()) };
    let id = rest.split('/').next().unwrap_or_default();
    let key = pb::GetKeyRequest { name: format!("{MANAGEMENT}{id}") };
    let key = context.api.get_key(key).await?.message;
    let own = context.key.as_deref().is_some_and(|text| is_text_of(text, &key));
    let whose = match (own, key.owner == ROOT) {
        (true, _) => "the management key that you use now",
        (false, true) => "a key of root, which nobody else can give back",
        (false, false) => return Ok(()),
    };
    ask(&names::short(name), whose, deed)
}

/// Likewise where a key text names the key.
///
/// # Errors
/// [`CliError`]: the answer is a no.
pub(super) fn agreed_by_text(context: &Context, key_text: &str) -> Result<(), CliError> {
    if context.key.as_deref().is_none_or(|own| own != key_text) {
        return Ok(());
    }
    ask("this key", "the management key that you use now", "revoked")
}

fn ask(name: &str, whose: &str, deed: &str) -> Result<(), CliError> {
    question(&format!("{name} is {whose}. It would be {deed}, and be of no use to you from then on."), deed)
}

/// Whether the text is of the key or of a version: it holds the id of the one or the other between its underscores.
fn is_text_of(text: &str, key: &pb::Key) -> bool {
    let names = key.versions.iter().map(|version| version.name.as_str()).chain([key.name.as_str()]);
    let mut ids = names.filter_map(|name| name.rsplit('/').next()).filter(|id| !id.is_empty());
    ids.any(|id| text.split('_').any(|part| part == id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_text_is_known_by_its_id_or_that_of_a_version() {
        let version = pb::Version { name: format!("{MANAGEMENT}k/versions/v"), ..pb::Version::default() };
        let key = pb::Key { name: format!("{MANAGEMENT}k"), versions: vec![version], ..pb::Key::default() };
        assert!(is_text_of("lkm_v_secret", &key) && is_text_of("lkm_k_secret", &key));
        assert!(!is_text_of("lkm_other_kv", &key));
    }
}
