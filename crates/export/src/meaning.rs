//! What our actions are to others: the categories of ECS and the classes of OCSF.

/// `event.category` of ECS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// Identities, keys and what they may do.
    Iam,
    /// What the cluster and its tenants are set up like.
    Configuration,
    /// Calls.
    Api,
}

impl Category {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Iam => "iam",
            Self::Configuration => "configuration",
            Self::Api => "api",
        }
    }
}

/// Whether what was tried came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did.
    Success,
    /// It did not.
    Failure,
}

impl Outcome {
    /// The word of ECS.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }
}

/// A class of OCSF and an activity within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OcsfClass {
    /// Entity Management, 3004: the number of the activity.
    EntityManagement(u32),
    /// API Activity, 6003: the number of the activity.
    ApiActivity(u32),
}

/// What an action is to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// `event.category` of ECS.
    pub category: Category,
    /// `event.type` of ECS.
    pub types: &'static [&'static str],
    /// Whether what was tried came about.
    pub outcome: Outcome,
    /// The class of OCSF, with the activity.
    pub class: OcsfClass,
    /// `severity_id` of OCSF: 1 informational, 2 low, 3 medium, 4 high.
    pub severity: u32,
}

const CREATE: u32 = 1;
const READ: u32 = 2;
const UPDATE: u32 = 3;
const DELETE: u32 = 4;
const ENROLL: u32 = 6;
const UNENROLL: u32 = 7;
const ENABLE: u32 = 8;
const DISABLE: u32 = 9;
const ACTIVATE: u32 = 10;
const DEACTIVATE: u32 = 11;
const SUSPEND: u32 = 12;
const RESUME: u32 = 13;
/// None of those that have a number.
const OTHER: u32 = 99;

impl Meaning {
    /// What an action is to others. One that this build does not know is a change of the configuration: newer clusters have more.
    #[must_use]
    pub fn of(action: &str) -> Self {
        known(action).unwrap_or_else(|| configuration(&["info"], OTHER))
    }

    /// Whether this build knows the action.
    #[must_use]
    pub fn is_known(action: &str) -> bool {
        known(action).is_some()
    }
}

const fn iam(types: &'static [&'static str], activity: u32) -> Meaning {
    let class = OcsfClass::EntityManagement(activity);
    Meaning { category: Category::Iam, types, outcome: Outcome::Success, class, severity: 1 }
}

const fn configuration(types: &'static [&'static str], activity: u32) -> Meaning {
    Meaning { category: Category::Configuration, ..iam(types, activity) }
}

const fn api(types: &'static [&'static str], activity: u32) -> Meaning {
    Meaning { category: Category::Api, class: OcsfClass::ApiActivity(activity), ..iam(types, activity) }
}

const fn grave(severity: u32, meaning: Meaning) -> Meaning {
    Meaning { severity, ..meaning }
}

const fn failed(meaning: Meaning) -> Meaning {
    Meaning { outcome: Outcome::Failure, ..meaning }
}

fn known(action: &str) -> Option<Meaning> {
    let meaning = match action {
        "cluster.bootstrapped" => configuration(&["creation"], CREATE),
        "cluster.feature_level_raised" => configuration(&["change"], UPDATE),
        "keyring.key_added" => configuration(&["creation"], CREATE),
        "keyring.key_dropped" => configuration(&["deletion"], DELETE),
        "keyring.key_rotated"
        | "keyring.keys_rewrapped"
        | "keyring.versions_redigested"
        | "keyring.inners_resealed" => configuration(&["change"], UPDATE),
        "tenant.created" => iam(&["group", "creation"], CREATE),
        "tenant.updated" => iam(&["group", "change"], UPDATE),
        "tenant.deleted" | "tenant.data_destroyed" => grave(2, iam(&["group", "deletion"], DELETE)),
        "keyspace.created" => configuration(&["creation"], CREATE),
        "keyspace.updated" => configuration(&["change"], UPDATE),
        "keyspace.deleted" => grave(2, configuration(&["deletion"], DELETE)),
        "owner.created" => iam(&["group", "creation"], CREATE),
        "owner.updated" => iam(&["group", "change"], UPDATE),
        "owner.deleted" => iam(&["group", "deletion"], DELETE),
        "role.created" => iam(&["admin", "creation"], CREATE),
        "role.updated" => iam(&["admin", "change"], UPDATE),
        "role.deleted" => iam(&["admin", "deletion"], DELETE),
        "identity.created" => iam(&["user", "creation"], CREATE),
        "identity.updated" => iam(&["user", "change"], UPDATE),
        "identity.deleted" => iam(&["user", "deletion"], DELETE),
        "key.created" | "key.imported" => iam(&["creation"], CREATE),
        "key.updated" | "key.restricted" | "key.restriction_ended" => iam(&["change"], UPDATE),
        "key.suspended" => grave(2, iam(&["change"], SUSPEND)),
        "key.resumed" => iam(&["change"], RESUME),
        "key.revoked" | "version.revoked" => grave(2, iam(&["change"], DISABLE)),
        "scope.revoked" => grave(3, iam(&["admin", "change"], DISABLE)),
        "scope.marked" => iam(&["info"], UPDATE),
        "key.removed" | "version.removed" => iam(&["deletion"], DELETE),
        "key.denied_locally" => grave(3, iam(&["admin", "change"], DISABLE)),
        "key.allowed_locally" => grave(2, iam(&["admin", "change"], ENABLE)),
        "key.rotation_due" | "key.expires_soon" => iam(&["info"], OTHER),
        "rotation.planned" | "rotation.prepared" => iam(&["info"], CREATE),
        "rotation.activated" => iam(&["change"], ACTIVATE),
        "rotation.started"
        | "rotation.delivered"
        | "rotation.verified"
        | "rotation.overlap_began"
        | "rotation.completed" => iam(&["change"], UPDATE),
        "rotation.resumed" => iam(&["info"], RESUME),
        "rotation.ends_in_use" => grave(3, iam(&["info"], UPDATE)),
        "rotation.held" => grave(2, iam(&["info"], SUSPEND)),
        "rotation.cancelled" => iam(&["info"], DEACTIVATE),
        "rotation.rolled_back" => grave(2, iam(&["change"], DEACTIVATE)),
        "rotation.failed" => grave(3, failed(iam(&["info"], DEACTIVATE))),
        "rotation.claimed" => configuration(&["info"], UPDATE),
        "replica.admitted" => configuration(&["creation"], ENROLL),
        "replica.key_set" => configuration(&["change"], UPDATE),
        "replica.promoted" => configuration(&["change"], ACTIVATE),
        "replica.demoted" => configuration(&["change"], DEACTIVATE),
        "replica.removed" | "replica.retired" => configuration(&["deletion"], UNENROLL),
        "leadership.transferred" => configuration(&["change"], UPDATE),
        "backup.created" => configuration(&["creation"], CREATE),
        "backup.removed" => configuration(&["deletion"], DELETE),
        "epoch.began" | "audit.log_began" => grave(3, configuration(&["change"], UPDATE)),
        "access.refused" => grave(2, failed(api(&["access", "denied"], OTHER))),
        "validation.explained" => api(&["access", "info"], READ),
        _ => return None,
    };
    Some(meaning)
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_state::Action;

    /// What ECS allows under each category.
    const ECS: [(Category, &[&str]); 3] = [
        (Category::Iam, &["admin", "change", "creation", "deletion", "group", "info", "user"]),
        (Category::Configuration, &["access", "change", "creation", "deletion", "info"]),
        (
            Category::Api,
            &["access", "admin", "allowed", "change", "creation", "deletion", "denied", "end", "info", "start", "user"],
        ),
    ];

    #[test]
    fn every_action_of_the_state_has_a_meaning() {
        let unknown: Vec<_> =
            Action::ALL.iter().map(|action| action.as_str()).filter(|word| !Meaning::is_known(word)).collect();
        assert!(unknown.is_empty(), "say what they are to others: {unknown:?}");
    }

    #[test]
    fn each_meaning_is_one_that_ecs_and_ocsf_know() {
        for action in Action::ALL {
            let meaning = Meaning::of(action.as_str());
            let allowed = ECS.iter().find(|(category, _)| *category == meaning.category).unwrap().1;
            assert!(!meaning.types.is_empty() && meaning.types.iter().all(|word| allowed.contains(word)), "{action:?}");
            let numbers = match meaning.class {
                OcsfClass::EntityManagement(activity) => (activity, 0..=13),
                OcsfClass::ApiActivity(activity) => (activity, 0..=4),
            };
            assert!(numbers.1.contains(&numbers.0) || numbers.0 == OTHER, "{action:?}");
        }
    }

    #[test]
    fn what_a_newer_cluster_tells_is_not_dropped() {
        let meaning = Meaning::of("moon.landed");
        assert_eq!((meaning.category, meaning.types), (Category::Configuration, &["info"][..]));
        assert!(!Meaning::is_known("moon.landed"));
    }
}
